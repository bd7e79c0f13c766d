from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import pleura
from pleura.apps import doctor
from pleura.apps.cli import extras
from pleura.apps.doctor import Check

Run = Callable[..., Any]


def test_info_as_json(run: Run) -> None:
    ended = run("info", "--json")
    details = json.loads(ended.out)
    assert ended.code == 0
    assert details["pleura"] == pleura.__version__
    assert details["python"] == platform.python_version()
    assert 1 <= details["cpus"]["usable"] <= details["cpus"]["machine"]
    engines = {name: version(name) for name in ("onnxruntime", "openvino")}
    assert details["engines"] == engines
    assert details["weights"]["engine"].startswith("openvino ")
    assert details["extras"]["train"]["torch"] == version("torch")
    assert details["devices"]["segment"] == "cpu"


def test_info_as_text_has_the_same_facts(run: Run) -> None:
    details = json.loads(run("info", "--json").out)
    ended = run("info").out
    for line in (
        details["platform"],
        f"numpy {details['packages']['numpy']}",
        details["devices"]["train"],
    ):
        assert line in ended


def test_info_shows_the_card_of_a_file(run: Run, tiny_weights: Path) -> None:
    details = json.loads(run("info", "--weights", tiny_weights, "--json").out)
    assert details["weights"]["sha256"] == hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert f"weights   {details['weights']['card']['name']}, side" in (
        run("info", "--weights", tiny_weights).out
    )
    missing = run("info", "--weights", tiny_weights.with_name("gone.onnx"))
    assert (missing.code, missing.out) == (5, "")
    assert "cannot read the weights" in missing.err


def test_info_without_weights_has_advice(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pleura.runtime.open.ONNX", "gone.onnx")
    monkeypatch.setattr("pleura.runtime.open.resources.files", lambda _: tmp_path)
    ended = run("info", "--json")
    assert ended.code == 0
    assert "install pleura again" in json.loads(ended.out)["weights"]["error"]


def test_extras_are_those_of_the_project_file() -> None:
    by_extra = extras.extras()
    assert {"torch", "lightning", "monai", "onnx"} <= set(by_extra["train"])
    assert "pytest" in by_extra["dev"]


def test_a_missing_module_names_its_extra() -> None:
    error = extras.missing_package(ModuleNotFoundError("no", name="lightning.pytorch"))
    assert 'pip install "pleura[train]"' in str(error)


@pytest.mark.parametrize("name", ["pleura.nowhere", "antigravity", "", None])
def test_a_missing_module_of_no_extra_is_a_defect(name: str | None) -> None:
    assert extras.missing_package(ModuleNotFoundError("no", name=name)) is None


def test_the_version_that_a_package_requires() -> None:
    # of pytest's own metadata: `pluggy<2,>=1.5` or newer
    assert "<2" in (extras.required_by("pytest", "pluggy") or "")
    assert extras.required_by("pytest", "torch") is None
    assert extras.required_by("no-such-package", "torch") is None


class TestDoctor:
    def test_it_is_1_only_if_something_needed_is_broken(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = Check("good", True, "fine")
        spare = Check("spare", False, "not here", "pip install it", essential=False)
        broken = Check("broken", False, "gone", "install it again")
        monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([good, spare]),))
        ended = run("doctor")
        assert ended.code == 0
        assert ended.out.splitlines() == [
            "ok        good: fine",
            "missing   spare: not here",
            "          -> pip install it",
        ]
        monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([broken, good]),))
        ended = run("doctor")
        assert ended.code == 1
        assert ended.out.splitlines()[:2] == [
            "BROKEN    broken: gone",
            "          -> install it again",
        ]

    def test_every_check_that_is_not_good_has_a_remedy(self, run: Run) -> None:
        ended = [json.loads(line) for line in run("doctor", "--json").out.splitlines()]
        assert {"python", "cpus", "weights", "engine", "extra train"} <= {
            check["name"] for check in ended
        }
        assert [check for check in ended if not check["good"] and not check["remedy"]] == []

    def test_a_torchvision_of_another_torch_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        here = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
        monkeypatch.setattr(doctor, "installed_version", here.get)
        monkeypatch.setattr(doctor, "required_by", lambda *_: "==2.12.1")
        (check,) = doctor.torchvision()
        assert not check.good
        assert "pip uninstall torchvision" in (check.remedy or "")
        monkeypatch.setattr(doctor, "required_by", lambda *_: "==2.13.0")
        (check,) = doctor.torchvision()
        assert check.good

    def test_without_torchvision_it_is_not_checked(self) -> None:
        assert list(doctor.torchvision()) == []
