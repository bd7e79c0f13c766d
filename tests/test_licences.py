"""What comes with Pleura: under which licence, how much of it, and what must never come.

Read from the metadata of what is installed here, for the closure of the base package and of
each extra.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
EXTRAS = tuple(PROJECT["optional-dependencies"])

BASE_LIMIT_MB = 400
"""As `du -m` counts; pip and setuptools, which every environment has, left out. OpenVINO is 180 of
it, for half the time of ONNX Runtime's 78."""

NEVER = {
    "torchvision": "no build of it fits every torch, and a broken one breaks lightning",
    "pylibjpeg-libjpeg": "GPL-3.0",
    "albumentationsx": "AGPL-3.0",
    "segmentation-models-pytorch": "brings torchvision",
    "timm": "brings torchvision",
}


@lru_cache
def closure(extra: str = "") -> dict[str, Distribution]:
    """Every package that `pleura` or `pleura[extra]` brings here, by canonical name.

    Raises PackageNotFoundError for one that should be here and is not.
    """
    packages: dict[str, Distribution] = {}
    followed: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in closure_lines("") + closure_lines(extra)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        package = packages.setdefault(name, distribution(wanted.name))
        for chosen in ("", *wanted.extras):
            if (name, chosen) not in followed:
                followed.add((name, chosen))
                needed = [Requirement(line) for line in package.requires or []]
                waiting += [
                    r for r in needed if not r.marker or r.marker.evaluate({"extra": chosen})
                ]
    return packages


def everything() -> dict[str, Distribution]:
    """The closure of the base package and all extras."""
    return {name: value for extra in ("", *EXTRAS) for name, value in closure(extra).items()}


def licence_of(package: Distribution) -> list[str]:
    """What a package calls its licence: SPDX expression, classifiers, the name in `License`.

    `License` may hold whole texts, of bundled parts too (scipy's and matplotlib's do): then it
    is no name, and the classifiers speak. Where all are silent the licence's file does, by its
    first line.
    """
    meta = package.metadata
    free = (meta["License"] or "").strip()
    named = [free] if "\n" not in free and len(free) < 100 else []
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    licences = [text for text in (meta["License-Expression"], *named, *classifiers) if text]
    return licences or [text.strip().splitlines()[0] for text in licence_files(package)]


def licence_files(package: Distribution) -> list[str]:
    """The texts of a package's licence files."""
    names = set(package.metadata.get_all("License-File") or [])
    files = [file for file in package.files or [] if file.name in names]
    return [text for file in files if (text := file.read_text())]


def is_gpl(name: str) -> bool:
    """Whether a licence's name means GPL or AGPL, with no other choice left to us.

    LGPL is another licence: a library under it may be used unchanged from Apache-2.0 code. A GPL
    with an exception for use from other programs (GCC's runtime) binds only that library.
    """
    if " OR " in name:
        return all(is_gpl(choice) for choice in name.strip("()").split(" OR "))
    parts = re.split(r"\bAND\b|;", name)
    return any(
        re.search(r"(?<![L\w])A?GPL|(?<!Lesser )(General|Affero) Public Licen[sc]e", part)
        and not re.search(r"exception|compatible|Lesser|Library", part, re.IGNORECASE)
        for part in parts
    )


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_no_gpl_in_the_closure(extra: str) -> None:
    guilty = {
        n: licence_of(p) for n, p in closure(extra).items() if any(map(is_gpl, licence_of(p)))
    }
    assert guilty == {}


def test_every_package_names_its_licence() -> None:
    silent = [n for n, p in everything().items() if not licence_of(p) and not p.metadata["License"]]
    assert silent == []


@pytest.mark.parametrize(
    "name",
    [
        "GPL-3.0-or-later",
        "GPLv2+",
        "AGPL-3.0-only",
        "GNU GPL v3",
        "MIT AND GPL-2.0-only",
        "GPL-2.0-only OR AGPL-3.0-only",
        "GNU General Public License",
        "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        "License :: OSI Approved :: GNU Affero General Public License v3",
    ],
)
def test_a_gpl_licence_is_detected(name: str) -> None:
    assert is_gpl(name)


@pytest.mark.parametrize(
    "name",
    [
        "MIT",
        "LGPL-2.1-or-later",
        "LGPLv3",
        "Apache-2.0 OR GPL-2.0-only",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
        "BSD (GPL-compatible)",
        "License :: OSI Approved :: GNU Lesser General Public License v2 (LGPLv2)",
        "License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)",
    ],
)
def test_other_licences_pass(name: str) -> None:
    assert not is_gpl(name)


def test_forbidden_packages_are_not_installed() -> None:
    assert set(NEVER) & set(everything()) == set()
    assert set(NEVER) & set(pins()) == set()


def test_torchvision_is_not_even_installed() -> None:
    with pytest.raises(PackageNotFoundError):
        distribution("torchvision")


def test_lightning_is_past_the_malicious_releases() -> None:
    train = {Requirement(line).name: Requirement(line) for line in closure_lines("train")}
    for bad in ("2.6.2", "2.6.3", "2.6.5"):
        assert not train["lightning"].specifier.contains(bad)
    for name in ("lightning", "pytorch-lightning"):
        assert Version(closure("train")[name].version) >= Version("2.6.6")
        assert Version(pins()[name]) >= Version("2.6.6")


def test_the_base_install_has_no_torch_and_stays_small() -> None:
    base = closure()
    assert not {"torch", "lightning", "monai", "onnx"} & set(base)
    sizes = {name: size_mb(package) for name, package in base.items()}
    sizes["pleura"] = folder_mb(CHECKOUT / "src" / "pleura")
    total = sum(sizes.values())
    assert total < BASE_LIMIT_MB, f"{total:.0f} MB: {sorted(sizes.items(), key=lambda s: -s[1])}"
    assert total > 100, "OpenVINO alone is over 100 MB: this measured nothing"


def test_constraints_pin_the_whole_closure() -> None:
    assert set(everything()) - set(pins()) == set()


def test_constraints_satisfy_the_declared_ranges() -> None:
    for extra in ("", *EXTRAS):
        for line in closure_lines(extra):
            wanted = Requirement(line)
            assert wanted.specifier.contains(pins()[canonicalize_name(wanted.name)]), line


def test_constraints_install_from_any_index() -> None:
    text = (CHECKOUT / "constraints.txt").read_text()
    pinned = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pinned)  # no +cpu, no address
    assert pins()["torch"] == "2.13.0"


def closure_lines(extra: str) -> list[str]:
    """The requirements that pyproject.toml declares for the base (`""`) or an extra."""
    return list(PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"])


def pins() -> dict[str, str]:
    """Name to version, as constraints.txt has it."""
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def size_mb(package: Distribution) -> float:
    """What a package's own files take on disk."""
    files = (Path(str(package.locate_file(file))) for file in package.files or [])
    return sum(map(on_disk_mb, files))


def folder_mb(folder: Path) -> float:
    """What a folder's files take on disk."""
    return sum(map(on_disk_mb, folder.rglob("*")))


def on_disk_mb(file: Path) -> float:
    """Whole blocks of 4096 bytes, in the 2^20 bytes that `du -m` counts; 0 if it is no file."""
    return -(-file.stat().st_size // 4096) * 4096 / 2**20 if file.is_file() else 0.0
