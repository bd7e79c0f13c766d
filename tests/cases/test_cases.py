"""Inputs that failed once, from the folder of cases beside the real films.

`crash` and `bombs` hold files on which decoders crashed, or took gigabytes or minutes. Each folder
of `films` holds a `make.py` that makes its input from real films.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PLEURA = [sys.executable, "-m", "pleura"]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
"""Root without the right to read what its owner closed."""


@pytest.fixture(scope="session")
def cases(films_root: Path) -> Path:
    folder = films_root.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no folder of cases at {folder}")
    return folder


@dataclass(frozen=True)
class Case:
    """A case whose input has been made in `folder`."""

    folder: Path
    printed: str
    """By its `make.py`."""

    def pleura(self, *arguments: str | Path, before: list[str] | None = None, **env: str) -> Ended:
        done = subprocess.run(
            [*(before or []), *PLEURA, *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, **env},
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    def segment(self, *more: str) -> Ended:
        return self.pleura("segment", "input", "-o", "out", *more)

    def rows(self) -> dict[str, dict[str, str]]:
        return {row["film"]: row for row in rows_of(self.folder / "out")}

    def mask(self, film: str, out: str = "out") -> np.ndarray:
        return np.asarray(Image.open(self.folder / out / f"{film}_mask.png"))

    def all_done(self) -> dict[str, dict[str, str]]:
        rows = self.rows()
        assert rows
        assert {film: row["error"] for film, row in rows.items() if row["status"] != "done"} == {}
        return rows


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Ended:
    code: int
    message: str


@pytest.fixture
def case(cases: Path, tmp_path: Path) -> Callable[[str], Case]:
    """Makes a case's input in a copy of its folder."""

    def make(name: str) -> Case:
        shutil.copy(cases / "films" / "lib.py", tmp_path)
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(cases / "films" / name / "make.py", folder)
        scripts = Path(sys.executable).parent
        done = subprocess.run(
            [sys.executable, folder / "make.py"],
            cwd=cases / "films",
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return Case(folder, done.stdout)

    return make


def test_crashing_films_are_rows_of_one_run(cases: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PLEURA, "segment", cases / "crash", "-o", tmp_path / "out", "-q"],
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 3), done.stderr
    rows = rows_of(tmp_path / "out")
    assert len(rows) == len(list((cases / "crash").glob("*.dcm")))
    assert all(row["status"] == "done" or len(row["error"]) > 20 for row in rows)
    assert sum(row["status"] == "failed" for row in rows) > 10


def test_decompression_bombs_use_little_memory_and_time(cases: Path, tmp_path: Path) -> None:
    for bomb in sorted((cases / "bombs").iterdir()):
        code = (
            "import re, resource, sys, time\n"
            "from pathlib import Path\n"
            "from pleura.io.read import read_radiograph\n"
            "from pleura.io.decoder_process import stop_decoders\n"
            "from pleura.core.errors import FilmError\n"
            "start = time.process_time()\n"
            "try:\n    read_radiograph(sys.argv[1])\n"
            "except FilmError as error:\n    print(error)\n"
            "stop_decoders()\n"
            "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "own = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
            "peak = int(own), used.ru_maxrss\n"
            "took = time.process_time() - start + used.ru_utime + used.ru_stime\n"
            "assert sum(peak) < 1_500_000, peak\n"
            "assert took < 20, took\n"
        )
        done = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True)
        assert done.returncode == 0, (bomb.name, done.stderr)
        assert done.stderr == "", bomb.name


@pytest.mark.parametrize("data", ["inverted", "all_labelled", "alpha_only", "background_1"])
def test_masks_inverted_or_full(case: Callable[[str], Case], data: str) -> None:
    ended = case("01_masks_inverted_or_full").pleura("data", "check", f"input/{data}")
    assert ended.code == 1, ended.message


def test_folder_that_cannot_be_entered(case: Callable[[str], Case]) -> None:
    made = case("02_folder_that_cannot_be_entered")
    ended = made.pleura("segment", "input", "-o", "out", before=WITHOUT_RIGHTS)
    assert ended.code not in (0, 1), ended.message
    assert "ward-b" in ended.message
    assert "IM0002" in ended.message
    (made.folder / "input" / "ward-b").chmod(0o755)


def test_dot_folder(case: Callable[[str], Case]) -> None:
    made = case("03_dot_folder")
    ended = made.segment()
    inputs = [path for path in (made.folder / "input").rglob("*") if path.is_file()]
    assert (
        len(made.all_done()) == len(inputs) or "begin" in ended.message or "hidden" in ended.message
    )


def test_one_long_name(case: Callable[[str], Case]) -> None:
    made = case("04_one_long_name_ends_the_run")
    for more in ([], ["--resume"]):
        ended = made.segment(*more)
        assert ended.code == 3, ended.message
        rows = made.rows()
        assert len(rows) == len(list((made.folder / "input").iterdir()))
        assert sum(row["status"] == "failed" for row in rows.values()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "05_empty_lut_items",
        "07_text_in_an_undeclared_charset",
        "08_body_part_in_another_language",
        "09_no_sequence_delimiter",
        "11_jpeg_of_three_components_called_grey",
        "12_png_with_long_metadata",
    ],
)
def test_films_that_are_read_as_they_are_meant(case: Callable[[str], Case], name: str) -> None:
    made = case(name)
    assert made.segment().code == 0
    rows = made.all_done()
    masks = [made.mask(film) for film in rows]
    areas = [(mask > 0).mean() for mask in masks]
    assert min(areas) > 0.15
    assert max(areas) - min(areas) < 0.02


def test_exif_turns_the_film_not_the_mask(case: Callable[[str], Case]) -> None:
    made = case("14_exif_turns_the_film_not_the_mask")
    for data in ("half_turn", "mirrored", "square_quarter_turn"):
        ended = made.pleura("data", "check", f"input/{data}")
        assert "EXIF" in ended.message, ended.message


def test_no_standard_streams(case: Callable[[str], Case]) -> None:
    made = case("15_no_stderr")
    command = " ".join([*PLEURA, "segment input -o out 1>&- 2>&-"])
    assert subprocess.run(["sh", "-c", command], cwd=made.folder).returncode == 0
    assert made.all_done()


def test_home_that_takes_no_file(case: Callable[[str], Case]) -> None:
    made = case("19_home_that_takes_no_file")
    ended = made.pleura(
        *("segment", "input/a.png", "-o", "out"),
        before=WITHOUT_RIGHTS,
        HOME="input/home",
        XDG_CACHE_HOME="",
    )
    assert ended.code == 0, ended.message
    assert "Traceback" not in ended.message
    assert made.pleura("info", HOME="/proc/x", XDG_CACHE_HOME="").code == 0


def test_compiled_graph_with_wrong_bytes(case: Callable[[str], Case]) -> None:
    made = case("20_cache_with_wrong_bytes")
    films = sorted((made.folder / "good").glob("*_mask.png"))
    assert films
    for film in films:
        name = film.name.removesuffix("_mask.png")
        assert np.array_equal(made.mask(name, "good"), made.mask(name, "changed")), name
