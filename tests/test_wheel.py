"""What an installed Pleura brings: the wheel, built as a release is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return zipfile.ZipFile(made)


def test_the_recipes_are_in_it_as_they_are_in_the_checkout(wheel: zipfile.ZipFile) -> None:
    inside = "pleura/lab/train/recipes/"
    held = {name[len(inside) :]: name for name in wheel.namelist() if name.startswith(inside)}
    ours = {
        path.relative_to(CHECKOUT / "recipes").as_posix(): path
        for path in (CHECKOUT / "recipes").rglob("*.toml")
    }
    assert set(held) == set(ours)
    for name, path in ours.items():
        assert wheel.read(held[name]) == path.read_bytes()


def test_the_wheel_runs_alone(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from pleura.apps.cli.main import main; sys.exit(main(['train', '--list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "seed " in done.stdout
    assert str(tmp_path / "pleura/lab/train/recipes") in done.stderr


def test_everything_of_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    package = CHECKOUT / "src" / "pleura"
    ours = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= set(wheel.namelist())
