"""Places where no compiled graph can be kept, and graphs that were damaged there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pleura.apps.cli import engines
from pleura.core.masks.overlay import display
from pleura.phantom.film import draw

PLEURA = (sys.executable, "-m", "pleura")
WITHOUT_POWER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")
"""Root less what lets it write where the permissions say no."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    Image.fromarray(display(draw(512, 448, seed=1).radiograph.pixels)).save(path)
    return path


@pytest.fixture(params=["read only", "a file", "nowhere", "a file at .cache"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home folder in which nothing can be kept."""
    home = tmp_path / "home"
    if request.param == "nowhere":
        return Path("/proc/nobody")
    if request.param == "a file":
        home.write_text("no folder")
        return home
    home.mkdir()
    if request.param == "a file at .cache":
        (home / ".cache").write_text("no folder")
    else:
        home.chmod(0o555)
    return home


def pleura(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """The command as a user has it who may not write everywhere."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere here, and there is no setpriv to take that away")
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    return subprocess.run(
        [*(WITHOUT_POWER if root else ()), *PLEURA, *map(str, arguments)],
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pleura_works_without_a_place_for_compiled_graphs(
    home: Path, film: Path, tmp_path: Path
) -> None:
    ended = pleura("segment", film, "-o", tmp_path / "out", "--fast", "-q", home=home)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out" / "film_mask.png").exists()


@pytest.mark.parametrize("home", ["read only", "nowhere"], indirect=True)
def test_doctor_reports_it_and_info_still_works(home: Path) -> None:
    ended = pleura("info", "--json", home=home)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "sha256" in json.loads(ended.stdout)["weights"]
    ended = pleura("doctor", "--json", home=home)
    assert (ended.returncode, ended.stderr) == (0, "")
    checks = {check["name"]: check for check in map(json.loads, ended.stdout.splitlines())}
    cache = checks["cache"]
    assert (cache["good"], cache["essential"]) == (False, False)
    assert str(home) in cache["found"]
    assert "XDG_CACHE_HOME" in cache["remedy"]
    assert checks["weights"]["good"]
    assert checks["engine"]["good"]


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(engines.Path, "home", unknown)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert engines.cache_folder() is None
    assert engines.open_engine().card.channels


def test_the_variable_moves_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engines.cache_folder() == tmp_path / "pleura"


def test_a_damaged_graph_changes_no_mask(film: Path, tmp_path: Path) -> None:
    """Zeros in its middle, as a crash of the machine leaves: right size, wrong bytes."""
    home = tmp_path / "home"
    home.mkdir()
    masks = []
    for turn in ("compiled", "kept", "damaged", "kept again"):
        if turn == "damaged":
            (graph,) = home.rglob("*.blob")
            whole = graph.read_bytes()
            middle = len(whole) // 2
            graph.write_bytes(whole[:middle] + bytes(65536) + whole[middle + 65536 :])
        out = tmp_path / turn
        ended = pleura("segment", film, "-o", out, "-q", home=home)
        assert (ended.returncode, ended.stderr) == (0, ""), turn
        masks.append((out / "film_mask.png").read_bytes())
    assert len(set(masks)) == 1
    (again,) = home.rglob("*.blob")
    assert len(again.read_bytes()) > 0
    assert bytes(65536) not in again.read_bytes()
