"""`pleura.segment_folder`: the command from Python."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pleura


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def files(out: Path) -> dict[str, bytes]:
    """The masks, by their paths."""
    masks = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*_mask.*")}
    assert len(masks) == 3  # the films are a, b and one in a folder
    return masks


def test_it_gives_what_the_command_gives(
    run: Any, films: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (films / "text.png").write_text("no film")
    line = ("segment", films, "-o", tmp_path / "line", "--format", "mask,nifti")
    assert run(*line, "--weights", tiny_weights, "--flip").code == 3
    capsys.readouterr()
    shown: list[dict[str, Any]] = []
    made = pleura.segment_folder(
        films,
        tmp_path / "here",
        formats=["mask", "nifti"],
        on_film=shown.append,
        weights=tiny_weights,
        flip=True,
    )
    assert capsys.readouterr() == ("", "")
    assert rows(made.table) == rows(tmp_path / "line" / "results.csv")
    assert files(tmp_path / "here") == files(tmp_path / "line")
    table = list(made)
    assert [row["film"] for row in table] == [row["film"] for row in rows(made.table)]
    assert (made.failed, made.done, made.skipped) == (1, len(table) - 1, 0)
    failed = next(row for row in table if row["film"] == "text")
    assert (failed["status"], failed["height"]) == ("failed", None)
    assert "text file" in failed["error"]
    done = next(row for row in table if row["status"] == "done")
    assert isinstance(done["height"], int)
    assert sorted(row["film"] for row in shown) == [row["film"] for row in table]


def test_it_resumes(films: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = pleura.segment_folder([films / "a.png"], out, weights=tiny_weights)
    assert (first.done, first.skipped) == (1, 0)
    with pytest.raises(pleura.UsageError, match="holds results already; continue with"):
        pleura.segment_folder(films / "a.png", out, weights=tiny_weights)
    inputs = [films / "a.png", films / "b.png"]
    second = pleura.segment_folder(inputs, out, weights=tiny_weights, resume=True)
    assert (second.done, second.skipped) == (1, 1)
    (out / "a_mask.png").unlink()
    third = pleura.segment_folder(inputs, out, weights=tiny_weights, resume=True)
    assert (third.done, third.skipped) == (1, 1)
    assert [row["film"] for row in third] == ["a", "b"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_and_resume_continues(
    films: Path, tiny_weights: Path, tmp_path: Path, number: signal.Signals
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for n in range(40):
        Image.open(films / "a.png").save(many / f"{n:02}.png")
    before = signal.getsignal(number)
    finished: list[str] = []

    def stop_at_the_second(row: dict[str, Any]) -> None:
        finished.append(row["film"])
        if len(finished) == 2:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        pleura.segment_folder(
            many, tmp_path / "out", on_film=stop_at_the_second, weights=tiny_weights, threads=1
        )
    assert signal.getsignal(number) is before
    assert 2 <= len(finished) < 40
    left = pleura.segment_folder(many, tmp_path / "out", weights=tiny_weights, resume=True)
    assert (left.skipped, left.done) == (len(finished), 40 - len(finished))


def test_an_argument_that_is_wrong_is_named(films: Path, tmp_path: Path) -> None:
    with pytest.raises(pleura.UsageError, match="'lung' is no definition; give 'field' or 'whole'"):
        pleura.segment_folder(films, tmp_path / "out", lungs="lung")  # type: ignore[arg-type]
    with pytest.raises(pleura.UsageError, match="jpg"):
        pleura.segment_folder(films, tmp_path / "out", formats="jpg")
    with pytest.raises(pleura.UsageError, match="workers=0 is no number of workers; give 1 or mo"):
        pleura.segment_folder(films, tmp_path / "out", workers=0)
    with pytest.raises(pleura.UsageError, match="threads='2' is no number of threads"):
        pleura.segment_folder(films, tmp_path / "out", threads="2")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no argument 'jobs'; it has resume, overwrite"):
        pleura.segment_folder(films, tmp_path / "out", jobs=2)  # type: ignore[call-arg]
    assert not (tmp_path / "out").exists()
