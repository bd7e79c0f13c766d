"""What an installed Pleura brings: the wheel, built as a release is."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml

from pleura._version import __version__

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


def test_the_weights_are_in_it_once_and_small(wheel: zipfile.ZipFile) -> None:
    weights = [each for each in wheel.infolist() if each.filename.startswith("pleura/weights/")]
    graphs = {f"pleura{part}.onnx" for part in ("", "-int8", "-fast", "-fast-int8")}
    assert {Path(each.filename).name for each in weights} == {
        name for graph in graphs for name in (graph, f"{graph}.sha256")
    }
    assert sum(each.file_size for each in weights) < 20e6


def test_changelog_and_citation_state_the_version_and_one_date() -> None:
    news = re.search(r"^## \[(.+)\] - (.+)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.M)
    cited = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert news is not None
    assert news[1] == cited["version"] == __version__
    assert date.fromisoformat(news[2]) == cited["date-released"]


def test_links_of_a_release_are_absolute() -> None:
    hook = runpy.run_path(str(CHECKOUT / "packaging" / "readme.py"))
    text = hook["absolute_links"](
        '[a](docs/a.md#part) ![b](docs/b.png) [c](https://x.example/c) [d](#d) <img src="e.png">',
        "https://host.example/pleura",
    )
    assert text == (
        "[a](https://host.example/pleura/blob/main/docs/a.md#part) "
        "![b](https://host.example/pleura/raw/main/docs/b.png) "
        '[c](https://x.example/c) [d](#d) <img src="https://host.example/pleura/raw/main/e.png">'
    )


def test_the_release_has_no_relative_link_and_names_both_licences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLEURA_REPOSITORY", "https://github.com/someone/pleura/")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        root = made.name.removesuffix(".tar.gz")
        file = archive.extractfile(f"{root}/PKG-INFO")
        assert file is not None
        head, _, readme = file.read().decode().partition("\n\n")
        results = [name for name in archive.getnames() if "benchmarks/results" in name]
    assert results == []
    targets = re.findall(r"\]\(([^)\s]+)", readme) + re.findall(r'src="([^"]+)"', readme)
    assert len(targets) > 20
    assert [link for link in targets if not link.startswith(("https://", "http://", "#"))] == []
    assert "https://colab.research.google.com/github/someone/pleura/blob/main/examples/" in readme
    assert "License-Expression: Apache-2.0 AND LicenseRef-Pleura-Weights-Research-Only" in head
    assert "Project-URL: Repository, https://github.com/someone/pleura\n" in head
