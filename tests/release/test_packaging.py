"""The conda recipe, the image and the compose file state what the package has; none is built."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from pleura._version import __version__
from pleura.apps.cli.main import main

CHECKOUT = Path(__file__).resolve().parents[2]
SERVE = CHECKOUT / "examples" / "serve"
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"python-gdcm": "gdcm"}
"""Names on conda-forge that differ from those of the Python package index."""


def instructions() -> list[tuple[str, str]]:
    """Instruction and argument of each line of the Dockerfile, continued lines joined."""
    lines = (SERVE / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    given = [line for line in lines if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in given]


def last(name: str) -> str:
    return [argument for instruction, argument in instructions() if instruction == name][-1]


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    return yaml.safe_load((CHECKOUT / "packaging/conda/recipe.yaml").read_text())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((SERVE / "compose.yaml").read_text())


def test_the_conda_recipe_has_the_version_and_the_command(recipe: dict[str, Any]) -> None:
    assert recipe["context"]["version"] == __version__
    (command,) = recipe["build"]["python"]["entry_points"]
    assert command.split(" = ") == ["pleura", PROJECT["scripts"]["pleura"]]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["license_file"] == PROJECT["license-files"]
    assert recipe["about"]["summary"] == PROJECT["description"]


def test_the_conda_recipe_has_the_requirements(recipe: dict[str, Any]) -> None:
    ours = {f"python {PROJECT['requires-python']}"}
    for given in map(Requirement, PROJECT["dependencies"]):
        name = CONDA_NAMES.get(given.name)
        ours.add(name or f"{given.name} {given.specifier}")
    theirs = {
        line.split()[0] if line.split()[0] in CONDA_NAMES.values() else line
        for line in recipe["requirements"]["run"]
    }
    assert theirs == ours


def test_the_image_has_no_root_and_writes_where_it_may() -> None:
    assert last("USER") == "1000"
    assert json.loads(last("ENTRYPOINT")) == ["pleura"]
    assert json.loads(last("CMD"))[0] == "serve"
    assert "/readyz" in last("HEALTHCHECK")
    folders = dict(word.split("=", 1) for word in shlex.split(last("ENV")))
    assert folders["XDG_CACHE_HOME"].startswith("/tmp/")
    assert Path(folders["PLEURA_NODE"]).is_relative_to(last("VOLUME"))


def test_the_image_is_built_of_what_the_wheel_needs() -> None:
    """What the build reads is let through; the working files of a checkout are not."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert all((CHECKOUT / path).exists() for path in kept)
    needed = {"pyproject.toml", "README.md", "src", "recipes", *PROJECT["license-files"]}
    assert needed | {"packaging/readme.py", "constraints.txt"} == kept


def test_the_services_of_the_compose_file_are_closed(compose: dict[str, Any]) -> None:
    for name in ("service", "node"):
        given = compose["services"][name]
        assert given["read_only"] is True
        assert given["tmpfs"] == ["/tmp"]
        assert given["cap_drop"] == ["ALL"]
    for given in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in given.get("ports", []))
        for volume in given.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
    build = compose["services"]["service"]["build"]
    assert (SERVE / build["context"] / build["dockerfile"]).resolve() == SERVE / "Dockerfile"


def test_archive_and_node_of_the_compose_file_name_each_other(
    compose: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = compose["services"]["node"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    archive = compose["services"]["orthanc"]["environment"]
    title, host, port = json.loads(archive["ORTHANC__DICOM_MODALITIES"])["pleura"]
    assert (title, port) == (options["--ae"], int(options["--port"]))
    assert host in compose["services"]
    assert options["--from"] == archive["ORTHANC__DICOM_AET"]
    assert options["--to"] == f"{options['--from']}@orthanc:4242"
    probe = compose["services"]["node"]["healthcheck"]["test"][-1]
    assert re.search(r":(\d+)/healthz", probe)[1] == options["--monitor-port"]  # type: ignore[index]
    assert main([command[0], "--help"]) == 0
    known = capsys.readouterr().out
    assert all(option in known for option in options)
