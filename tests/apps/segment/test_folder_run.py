"""Runs over a folder: which files are films, their names, and COCO files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from PIL import Image
from tests.apps.segment.outputs import Run, posix, report, rows

from pleura.apps.segment import pipeline
from pleura.io.film import ReadOptions
from pleura.runtime.openvino_engine import OpenVinoEngine


class TestWhatIsLeftOut:
    def test_it_is_named_at_the_end_and_in_the_report(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        (films / ".LAT CHEST").mkdir()
        shutil.copy(films / "a.png", films / ".LAT CHEST")
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 0
        assert f"left out 1 hidden file or folder: {films}/.LAT CHEST\n" in ended.err
        assert f"left out 1 file of another kind: {films}/notes.txt\n" in ended.err
        left_out = report(tmp_path / "out")["left_out"]
        assert left_out["hidden"] == {"count": 1, "first": [f"{films}/.LAT CHEST"]}
        assert segment(films, "-o", tmp_path / "quiet", "-q").err == ""

    def test_unreadable_folders_give_exit_code_3(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scan = os.scandir

        def scandir(path: str) -> object:
            if Path(path) == films / "deep":
                raise PermissionError(13, "Permission denied")
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)
        ended = segment(films, "-o", tmp_path / "out", "-q")
        assert ended.code == 3
        assert ended.err == f"could not read {films}/deep: Permission denied\n"
        assert list(rows(tmp_path / "out")) == ["a", "b"]
        assert report(tmp_path / "out")["unreadable"] == {f"{films}/deep": "Permission denied"}

    def test_results_of_an_earlier_run_are_no_films(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        formats = ("--format", "mask,overlay,crop,split,labels")
        assert segment(films, "-o", films / "out", *formats).code == 0
        ended = segment(films, "-o", tmp_path / "other")
        assert ended.code == 0
        assert list(rows(tmp_path / "other")) == ["a", "b", "deep/a"]
        assert "left out 20 results of earlier runs" in ended.err  # 3 x 6, the table, the report


class TestOneFilmThatCannotBeWritten:
    def test_a_name_too_long_fails_alone_and_the_run_continues(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        shutil.copy(films / "a.png", films / ("0" * 251 + ".png"))
        for more in ((), ("--resume",)):
            ended = segment(films, "-o", tmp_path / "out", *more)
            table = rows(tmp_path / "out")
            assert ended.code == 3
            assert [row["status"] for row in table.values()] == ["failed", "done", "done", "done"]
            assert "File name too long; give the film a shorter name" in table["0" * 251]["error"]

    def test_a_folder_or_a_file_in_the_way(self, segment: Run, films: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "b_mask.png" / "full").mkdir(parents=True)
        (out / "deep").write_text("a file where a folder is needed")
        ended = segment(films, "-o", out)
        table = rows(out)
        assert ended.code == 3
        assert {film: row["status"] for film, row in table.items()} == {
            "a": "done", "b": "failed", "deep/a": "failed"
        }  # fmt: skip
        for film in ("b", "deep/a"):
            assert "cannot write" in table[film]["error"]
            assert "move away what is there" in table[film]["error"]
        shutil.rmtree(out / "b_mask.png")
        (out / "deep").unlink()
        assert segment(films, "-o", out, "--resume").code == 0


class TestNames:
    def test_a_neighbour_of_the_same_stem_gives_no_second_row(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(films, "-o", out)
        Image.open(films / "a.png").save(films / "a.jpg")
        ended = segment(films, "-o", out, "--resume")
        assert ended.code == 0
        assert "4 films: 1 segmented, 3 finished before" in ended.err
        assert {film: Path(row["path"]).name for film, row in rows(out).items()} == {
            "a": "a.png", "a_jpg": "a.jpg", "b": "b.png", "deep/a": "a.png"
        }  # fmt: skip
        assert "4 finished before" in segment(films, "-o", out, "--resume").err

    @pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no such names")
    def test_a_name_that_is_not_utf8_leaves_the_tables_readable(
        self, segment: Run, run: Run, films: Path, tmp_path: Path
    ) -> None:
        out, again = tmp_path / "out", tmp_path / "again"
        (films / "a.png").rename(films / os.fsdecode(b"na\xefve.png"))
        assert segment(films, "-o", out, "--format", "mask,coco").code == 0
        table = (out / "results.csv").read_bytes()
        assert b"na%xEFve" in table
        table.decode("utf-8")  # fails if it is not UTF-8
        resumed = segment(films, "-o", out, "--format", "mask,coco", "--resume")
        assert "0 segmented, 3 finished" in resumed.err
        assert (out / "results.csv").read_bytes() == table
        assert run("results", "parquet", out).code == 0
        read = pyarrow.parquet.read_table(out / "results.parquet")
        assert "na%xEFve" in read["film"].to_pylist()
        assert segment(out / "results.csv", "-o", again).code == 0  # its names are those of files
        assert (again / os.fsdecode(b"na\xefve_mask.png")).is_file()

    @posix
    def test_names_that_are_odd_in_a_table_come_back(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        for name in ("new\nline", "=1+1", "@a", "a%0Ab", "-5", "'=x", "esc\x1b[2J"):
            shutil.copy(films / "a.png", films / f"{name}.png")
        ended = segment(films, "-o", out, "--json")
        assert ended.code == 0
        assert {"new%0Aline", "'=1+1", "'@a", "a%250Ab", "'-5", "''=x"} < set(rows(out))
        assert "=1+1" in [json.loads(line)["film"] for line in ended.out.splitlines()]
        assert (out / "=1+1_mask.png").exists()
        before = (out / "results.csv").read_bytes()
        again = segment(films, "-o", out, "--resume")
        assert "10 films: 0 segmented, 10 finished before" in again.err
        assert (out / "results.csv").read_bytes() == before
        (films / "esc\x1b[2J.png").write_bytes(b"")
        (out / "esc\x1b[2J_mask.png").unlink()
        assert "\x1b" not in segment(films, "-o", out, "--resume").err

    def test_a_pipe_is_never_waited_for(self, segment: Run, films: Path, tmp_path: Path) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes in this system's folders")
        for name in ("named.png", "listed.png", "films/inside.png", "films/IM0001"):
            os.mkfifo(tmp_path / name)
        (tmp_path / "list.txt").write_text("listed.png\n")
        inputs = (tmp_path / "named.png", tmp_path / "list.txt", films)
        ended = segment(*inputs, "-o", tmp_path / "out")
        table = rows(tmp_path / "out")
        assert ended.code == 3
        assert "left out 2 pipes or devices" in ended.err
        assert {film for film, row in table.items() if row["status"] == "failed"} == {
            "named", "listed"
        }  # fmt: skip
        assert "it is a pipe, where a file is expected" in table["named"]["error"]

    def test_a_pipe_put_in_a_films_place_during_the_run(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes in this system's folders")
        read = pipeline.read_film

        def swapped(path: Path, options: ReadOptions) -> Any:
            if path.name == "b.png":
                path.unlink()
                os.mkfifo(path)
            return read(path, options)

        monkeypatch.setattr(pipeline, "read_film", swapped)
        assert segment(films, "-o", tmp_path / "out").code == 3
        assert "it is a pipe" in rows(tmp_path / "out")["b"]["error"]


class TestCoco:
    def test_one_file_of_all_films_with_their_own_names(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        (films / "bad.png").write_bytes(b"")
        segment(films, "-o", out, "--format", "coco")
        one = json.loads((out / "deep/a_coco.json").read_text())
        assert one["images"][0]["file_name"] == "a.png"
        merged = json.loads((out / "coco.json").read_text())
        assert [(image["id"], image["file_name"]) for image in merged["images"]] == [
            (1, "a.png"), (2, "b.png"), (3, "deep/a.png")
        ]  # fmt: skip
        assert [image["height"] for image in merged["images"]] == [160, 200, 240]
        annotations = merged["annotations"]
        assert [annotation["id"] for annotation in annotations] == list(
            range(1, len(annotations) + 1)
        )
        assert {annotation["image_id"] for annotation in annotations} == {1, 2, 3}
        assert merged["categories"] == one["categories"]
        own = [annotation for annotation in annotations if annotation["image_id"] == 3]
        assert [{**annotation, "id": 0, "image_id": 0} for annotation in own] == [
            {**annotation, "id": 0, "image_id": 0} for annotation in one["annotations"]
        ]


class TestMemory:
    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc in node x")])
    def test_a_film_too_large_for_the_engine_s_memory_is_reported(
        self,
        segment: Run,
        films: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
    ) -> None:
        def predict(*_: Any) -> None:
            raise error

        monkeypatch.setattr(OpenVinoEngine, "predict", predict)
        ended = segment(films / "a.png", "-o", tmp_path / "out")
        assert ended.code == 3
        assert rows(tmp_path / "out")["a"]["error"].startswith("this needs more memory than")
        assert "defect" not in ended.err

    def test_a_network_that_does_not_fit_into_memory_gives_exit_code_1(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(*_: Any, **__: Any) -> None:
            raise RuntimeError("Exception from src/inference: can't alloc")

        monkeypatch.setattr(OpenVinoEngine, "__init__", load)
        ended = segment(films / "a.png", "-o", tmp_path / "out")
        assert ended.code == 1
        assert ended.err.startswith("pleura: this needs more memory than")
