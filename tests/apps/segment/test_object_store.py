"""Films in an object store, and lists in Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from pleura.io.files import remote

Run = Callable[..., Any]


@pytest.fixture
def bucket(store: dict[str, bytes], films: Path) -> Iterator[dict[str, bytes]]:
    """The films of the folder in the store, as `s3://films/set/...`, beside other files."""
    remote._store.cache_clear()  # the store of another module's tests
    for path in films.rglob("*.png"):
        store[f"films/set/{path.relative_to(films).as_posix()}"] = path.read_bytes()
    store["films/set/notes.txt"] = b"not a film"
    store["films/set/.hidden.png"] = b"hidden"
    store["films/set/a_mask.png"] = b"a mask of a.png"
    yield store
    store.clear()


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def paths(out: Path) -> list[str]:
    return [row["path"] for row in rows(out)]


def measured(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in r.items() if k not in ("path", "seconds")} for r in rows(out)]


@pytest.mark.usefixtures("bucket")
class TestStore:
    def test_a_folder_gives_what_the_same_folder_on_disk_gives(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        disk, out = tmp_path / "disk", tmp_path / "out"
        assert segment(films, "-o", disk).code == 0
        ended = segment("s3://films/set/", "-o", out)
        assert ended.code == 0, ended.err
        assert paths(out) == [f"s3://films/set/{name}.png" for name in ("a", "b", "deep/a")]
        assert measured(out) == measured(disk)
        for name in ("a", "b", "deep/a"):
            mask = f"{name}_mask.png"
            assert (out / mask).read_bytes() == (disk / mask).read_bytes()
        assert "left out 1 file of another kind: s3://films/set/notes.txt" in ended.err
        assert "left out 1 result of an earlier run" in ended.err

    def test_a_run_is_resumed(self, segment: Run, tmp_path: Path) -> None:
        assert segment("s3://films/set/a.png", "-o", tmp_path / "out").code == 0
        ended = segment("s3://films/set", "-o", tmp_path / "out", "--resume")
        assert "2 segmented, 1 finished before" in ended.err

    def test_a_film_that_cannot_be_read_has_a_row_with_the_reason(
        self, segment: Run, bucket: dict[str, bytes], tmp_path: Path
    ) -> None:
        films = tmp_path / "films.txt"
        films.write_text("s3://films/set/a.png\ns3://films/set/none.png\n")
        assert segment(films, "-o", tmp_path / "out").code == 3
        failed = [row for row in rows(tmp_path / "out") if row["status"] == "failed"]
        assert [row["path"] for row in failed] == ["s3://films/set/none.png"]
        assert "cannot open s3://films/set/none.png" in failed[0]["error"]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("s3://films/nothing", "there is no such file or folder"),
            ("s3://films/set/*.png", "globs are for paths on disk"),
            ("ftp://films/set", "give s3:// or gs://, or a path"),
            ("s3://films//set", "has an empty part"),
            ("s3://me:secret@films/set", "a URL of s3://films has a password in it"),
        ],
    )
    def test_missing_files_of_a_store_are_wrong_usage(
        self, segment: Run, tmp_path: Path, given: str, message: str
    ) -> None:
        ended = segment(given, "-o", tmp_path / "out")
        assert ended.code == 2
        assert message in ended.err

    def test_results_go_to_a_folder(self, segment: Run, films: Path) -> None:
        ended = segment(films, "-o", "s3://results/out")
        assert ended.code == 2
        assert "results are written to a folder: give one, and copy it to s3://results" in ended.err


@pytest.mark.usefixtures("google_store")
class TestGoogleStore:
    def test_a_folder_gives_what_the_same_folder_on_disk_gives(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        """Folders below it too, which are no objects of their own in this store."""
        remote._store.cache_clear()
        disk, out = tmp_path / "disk", tmp_path / "out"
        assert segment(films, "-o", disk).code == 0
        ended = segment("gs://anonymous@films/set", "-o", out)
        assert ended.code == 0, ended.err
        names = ("a", "b", "deep/a")
        assert paths(out) == [f"gs://anonymous@films/set/{name}.png" for name in names]
        assert measured(out) == measured(disk)
        for name in names:
            mask = f"{name}_mask.png"
            assert (out / mask).read_bytes() == (disk / mask).read_bytes()

    def test_what_is_not_there(self, segment: Run, tmp_path: Path) -> None:
        remote._store.cache_clear()
        films = tmp_path / "films.txt"
        films.write_text("gs://anonymous@films/set/a.png\ngs://anonymous@films/set/none.png\n")
        assert segment(films, "-o", tmp_path / "out").code == 3
        failed = [row for row in rows(tmp_path / "out") if row["status"] == "failed"]
        assert [row["path"] for row in failed] == ["gs://anonymous@films/set/none.png"]
        ended = segment("gs://anonymous@films/nothing", "-o", tmp_path / "none")
        assert ended.code == 2
        assert "there is no such file or folder" in ended.err


class TestLists:
    def test_a_parquet_list(self, segment: Run, films: Path, tmp_path: Path) -> None:
        table = pyarrow.table({"patient": ["1", "2"], "Path": ["deep/a.png", str(films / "b.png")]})
        pyarrow.parquet.write_table(table, films / "list.parquet")
        assert segment(films / "list.parquet", "-o", tmp_path / "out").code == 0
        assert paths(tmp_path / "out") == [str(films / "b.png"), str(films / "deep" / "a.png")]

    def test_a_parquet_list_without_the_column(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        table = pyarrow.table({"patient": ["1"], "file": ["a.png"]})
        pyarrow.parquet.write_table(table, films / "list.parquet")
        ended = segment(films / "list.parquet", "-o", tmp_path / "out")
        assert ended.code == 2
        assert "has no column path or image or film; it has: patient, file" in ended.err

    def test_a_damaged_parquet_list(self, segment: Run, tmp_path: Path) -> None:
        (tmp_path / "list.parquet").write_bytes(b"no parquet")
        ended = segment(tmp_path / "list.parquet", "-o", tmp_path / "out")
        assert ended.code == 2
        assert "save it as Parquet" in ended.err

    @pytest.mark.usefixtures("bucket")
    def test_a_list_in_a_store_names_films_beside_it(
        self, segment: Run, bucket: dict[str, bytes], tmp_path: Path
    ) -> None:
        bucket["films/list.csv"] = b"path\nset/a.png\n"
        assert segment("s3://films/list.csv", "-o", tmp_path / "out").code == 0
        assert paths(tmp_path / "out") == ["s3://films/set/a.png"]

    def test_a_file_url_is_a_path(self, segment: Run, films: Path, tmp_path: Path) -> None:
        assert segment(f"file://{films}/a.png", "-o", tmp_path / "out").code == 0
        assert paths(tmp_path / "out") == [str(films / "a.png")]
