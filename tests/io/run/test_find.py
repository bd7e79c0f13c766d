from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pleura.core.errors import UsageError
from pleura.io.run.find import find_films
from pleura.io.run.naming import unique_names
from pleura.io.run.row import failed_row
from pleura.io.run.table import Table

DICOM = bytes(128) + b"DICM"


def touch(root: Path, *names: str, content: bytes = b"x") -> list[Path]:
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


def names(*inputs: str | Path, **options: Path) -> dict[str, str]:
    """name of the results -> file name"""
    return {film.name: film.path.name for film in find_films(inputs, **options).films}


def test_results_have_the_folders_of_the_films(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a/x.jpg", "a/deep/er/y.nii.gz", "a/z.tif")
    touch(tmp_path, "notes.md", "manifest.csv", "a/mask.npy")
    touch(tmp_path, ".hidden.png", ".git/x.png", "__MACOSX/x.png", "a/._x.jpg")
    films = find_films([tmp_path]).films
    assert [film.name for film in films] == ["a/deep/er/y", "a/x", "a/z", "b"]
    assert all(film.path.is_absolute() and film.path.is_file() for film in films)


def test_dicom_without_a_suffix_is_found_by_its_mark(tmp_path: Path) -> None:
    touch(tmp_path, "IM0001", "1.2.840.113619", "DICOMDIR", "film.txt2", content=DICOM)
    touch(tmp_path, "README", "1.2.3.4", content=b"text")
    assert names(tmp_path) == {"1.2.840.113619": "1.2.840.113619", "IM0001": "IM0001"}


def test_a_file_that_is_named_itself_may_have_any_suffix(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "sub/odd.xyz")
    assert names(path) == {"odd.xyz": "odd.xyz"}
    assert names(str(path)) == {"odd.xyz": "odd.xyz"}


def test_globs_are_named_from_their_plain_part(tmp_path: Path) -> None:
    touch(tmp_path, "s1/a.png", "s2/b.png", "s2/c.jpg", "s2/d.csv", "t/e.png")
    assert list(names(f"{tmp_path}/s*/*.png")) == ["s1/a", "s2/b"]
    assert list(names(f"{tmp_path}/**/*.png")) == ["s1/a", "s2/b", "t/e"]
    assert list(names(f"{tmp_path}/s?")) == ["s1/a", "s2/b", "s2/c"]  # folders that match
    assert list(names(f"{tmp_path}/s2/*")) == ["b", "c"]


def test_a_path_with_brackets_that_exists_is_not_a_glob(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "film[1].png")
    assert list(names(path)) == ["film[1]"]


def test_a_text_list(tmp_path: Path) -> None:
    (elsewhere,) = touch(tmp_path, "other/c.png")
    touch(tmp_path, "lists/sub/a.png", "lists/b.xyz")
    text = f"\ufeff# films\nsub/a.png\n\n  b.xyz  \n{elsewhere}\n"
    listed = tmp_path / "lists" / "films.txt"
    listed.write_text(text, encoding="utf-8")
    assert list(names(listed)) == ["b.xyz", "c", "sub/a"]


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no such names")
@pytest.mark.parametrize("name", ["films.txt", "films.csv"])
def test_a_list_with_a_name_that_is_not_utf8(tmp_path: Path, name: str) -> None:
    touch(tmp_path, os.fsdecode(b"na\xefve.png"))
    listed = tmp_path / name
    listed.write_bytes(b"path\n"[: 5 * name.endswith("csv")] + b"na\xefve.png\n")
    assert list(names(listed)) == ["na\udcefve"]
    listed.write_bytes(listed.read_bytes().replace(b"\xef", b"\xee"))
    with pytest.raises(UsageError, match=r"na%xEEve\.png; .* or save the list as UTF-8 text"):
        find_films([listed])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("column", ["path", "Image", " film"])
def test_a_csv_list(tmp_path: Path, delimiter: str, column: str) -> None:
    touch(tmp_path, "images/a.png", "images/b, c.png")
    lines = [["id", column, "mask"], ["1", "images/a.png", "none"], ["2", '"images/b, c.png"', ""]]
    listed = tmp_path / "films.csv"
    listed.write_text("\n".join(delimiter.join(line) for line in lines))
    assert list(names(listed)) == ["images/a", "images/b, c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,file\n1,a.png\n", "no column path or image or film; it has: id, file"),
        ("path\n", "names no film"),
        ("path\ngone.png\nalso.png\n", r"2 of the 2 films .* not there: .*gone\.png, .*also\.png"),
    ],
)
def test_an_error_names_what_is_wrong_with_a_list(
    tmp_path: Path, content: str, message: str
) -> None:
    listed = tmp_path / "films.csv"
    listed.write_text(content)
    with pytest.raises(UsageError, match=message):
        find_films([listed])
    listed.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        find_films([listed])


def test_an_error_for_a_missing_input_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file or folder .*gone\.png; check the spelling"):
        find_films([tmp_path / "gone.png"])
    with pytest.raises(UsageError, match=r"no films in the folder .*\.png.*name the right folder"):
        find_films([tmp_path])
    with pytest.raises(UsageError, match=r"\*\.png matches 0 paths"):
        find_films([f"{tmp_path}/*.png"])
    with pytest.raises(UsageError, match="no input given"):
        find_films([])


def test_the_output_folder_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "out/a_mask.png", "out2/b.png")
    assert list(names(tmp_path, leave_out=tmp_path / "out")) == ["a", "out2/b"]
    assert list(names(f"{tmp_path}/*", leave_out=tmp_path / "out")) == ["a", "out2/b"]


def test_a_film_that_is_named_twice_is_found_once_with_its_longest_name(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "sub/a.png")
    assert list(names(path, tmp_path, path)) == ["sub/a"]
    assert list(names(tmp_path / "sub" / ".." / "sub" / "a.png", path)) == ["a"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "real")
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "real")
    assert list(names(tmp_path / "all")) == ["linked/a"]


def test_a_pipe_in_a_folder_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert list(names(tmp_path)) == ["a"]


def test_equal_stems_keep_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "b.png", "c.nii.gz", "c.png")
    assert names(tmp_path) == {
        "a_jpg": "a.jpg",
        "a_png": "a.png",
        "b": "b.png",
        "c_nii_gz": "c.nii.gz",
        "c_png": "c.png",
    }


def test_equal_names_from_two_folders_keep_their_folder(tmp_path: Path) -> None:
    touch(tmp_path, "one/images/a.png", "two/images/a.png", "two/images/b.png")
    paths = names(tmp_path / "one" / "images", tmp_path / "two" / "images")
    assert list(paths) == ["b", "one/images/a", "two/images/a"]


def test_names_that_differ_only_in_capitals_count_as_equal(tmp_path: Path) -> None:
    one, other = touch(tmp_path, "x/Film.png", "y/film.png")
    assert list(names(one, other)) == ["x/Film", "y/film"]


def test_a_longer_name_that_is_taken_becomes_longer_still(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "a_png.bmp")
    paths = names(tmp_path)
    assert sorted(paths.values()) == ["a.jpg", "a.png", "a_png.bmp"]
    assert len({name.casefold() for name in paths}) == 3


PART = st.text("aA_.p", min_size=1, max_size=3).filter(lambda part: part.strip("."))
PATHS = st.builds(
    lambda folders, stem, suffix: "/" + "/".join([*folders, stem + suffix]),
    st.lists(PART, max_size=3),
    PART,
    st.sampled_from([".png", ".PNG", ".jpg", ".nii.gz", "", ".7"]),
)


@given(st.sets(PATHS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_no_two_films_ever_share_a_name(paths: set[str], chance: random.Random) -> None:
    """Whatever the paths; and the order in which they come changes nothing."""
    films = {path: chance.randint(0, path.count("/") - 1) for path in sorted(paths)}
    named = unique_names(films)
    assert set(named) == paths
    assert len({name.casefold() for name in named.values()}) == len(paths)
    assert not any(name.startswith("/") or ".." in name.split("/") for name in named.values())
    shuffled = list(films.items())
    chance.shuffle(shuffled)
    assert unique_names(dict(shuffled)) == named


def test_outputs_of_different_films_have_different_paths(tmp_path: Path) -> None:
    """`a` and `a_mask` are both films: their files differ, as every ending names its format."""
    from pleura.io.outputs import FORMATS, output_paths

    stems = [PurePath("a"), PurePath("a_mask"), PurePath("a_labels"), PurePath("a.png")]
    files = [path for stem in stems for path in output_paths(tmp_path / stem, FORMATS)]
    assert len(set(files)) == len(files)


def test_the_same_name_in_capitals_beside_it_gets_a_digest_and_no_folders(tmp_path: Path) -> None:
    if not_telling_capitals_apart(tmp_path):
        pytest.skip("this file system takes FILM.png and film.png for one")
    touch(tmp_path, "sub/FILM.png", "sub/film.png", "sub/other.png")
    paths = names(tmp_path)
    assert sorted(paths.values()) == ["FILM.png", "film.png", "other.png"]
    assert len({name.casefold() for name in paths}) == 3
    assert all(PurePath(name).parent == PurePath("sub") for name in paths)


def not_telling_capitals_apart(folder: Path) -> bool:
    (folder / "probe").touch()
    return (folder / "PROBE").exists()


def test_a_name_of_an_earlier_run_is_kept_and_a_new_film_gets_another(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.dcm", "b.png")
    known = {str(tmp_path / "a.png"): "a", str(tmp_path / "gone.png"): "gone"}
    films = find_films([tmp_path], known=known).films
    assert {film.name: film.path.name for film in films} == {
        "a": "a.png",
        "a_dcm": "a.dcm",
        "b": "b.png",
    }


@pytest.mark.parametrize("finished", range(7))
def test_names_do_not_depend_on_how_far_a_killed_run_came(tmp_path: Path, finished: int) -> None:
    touch(tmp_path, "A.png", "b.png", "b.jpg", "s/c.png", "a.jpg", "a.bmp")
    films = find_films([tmp_path, tmp_path / "s"]).films
    known = {str(film.path): film.name for film in films[:finished]}
    assert find_films([tmp_path, tmp_path / "s"], known=known).films == films


def test_files_that_are_left_out_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".LAT CHEST/b.png", ".c.png", "notes.txt", "sub/d.gif", "README")
    touch(tmp_path, ".pleura-1-ab.part")  # of a run that goes on
    os.mkfifo(tmp_path / "pipe.png")
    left_out = find_films([tmp_path]).left_out
    assert list(left_out.lines()) == [
        f"left out 2 hidden files or folders: {tmp_path}/.LAT CHEST, {tmp_path}/.c.png",
        f"left out 3 files of other kinds: {tmp_path}/README, {tmp_path}/notes.txt, "
        f"{tmp_path}/sub/d.gif",
        f"left out 1 pipe or device: {tmp_path}/pipe.png",
    ]
    assert left_out.as_json()["hidden"] == {
        "count": 2,
        "first": [f"{tmp_path}/.LAT CHEST", f"{tmp_path}/.c.png"],
    }
    assert left_out.unreadable == {}


def test_an_error_names_hidden_films_in_a_folder_without_others(tmp_path: Path) -> None:
    touch(tmp_path, ".series/a.png")
    with pytest.raises(UsageError, match=r"left out 1 hidden file or folder: .*\.series\); name"):
        find_films([tmp_path])


@pytest.mark.parametrize("given", ["", "*", "**/*.png"])
def test_files_that_cannot_be_read_are_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    touch(tmp_path, "a.png", "closed/b.png", "sub/IM0001", content=DICOM)
    scan, opened = os.scandir, os.open

    def scandir(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def open_(path: Path, *options: int) -> int:
        if Path(path).name == "IM0001":
            raise PermissionError(13, "Permission denied")
        return opened(path, *options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "open", open_)
    search = find_films([f"{tmp_path}/{given}" if given else tmp_path])
    assert [film.path.name for film in search.films] == ["a.png"]
    expected = {str(tmp_path / "closed"): "Permission denied"}
    if given != "**/*.png":  # the pattern does not mean a file without a suffix
        expected[str(tmp_path / "sub" / "IM0001")] = "Permission denied"
    assert search.left_out.unreadable == expected


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree of 3,000 folders, one in the other, with films at 10 and at 1,400."""
    top, here = tmp_path_factory.mktemp("deep"), os.getcwd()  # noqa: PTH109
    try:
        os.chdir(top)
        for level in range(3000):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
            if level in (10, 1400):
                Path(f"{level}.png").touch()
    finally:
        os.chdir(here)
    yield top
    subprocess.run(["rm", "-rf", str(top)], check=True)  # shutil.rmtree calls itself


@pytest.mark.parametrize("pattern", [None, "**/*.png", "**"])
def test_a_tree_3000_folders_deep(deep: Path, pattern: str | None) -> None:
    """Deeper than Python calls itself, and than the path that a file system takes."""
    search = find_films([deep if pattern is None else f"{deep}/{pattern}"])
    assert sorted(film.path.name for film in search.films) == ["10.png", "1400.png"]
    (reason,) = search.left_out.unreadable.values()
    assert reason == "File name too long"
    (line,) = search.left_out.complaints()
    assert len(line) < 300


def test_results_of_an_earlier_run_are_left_out(tmp_path: Path) -> None:
    made = Image.linear_gradient("L")
    for name in ("films/a.png", "films/b.png", "films/old/a_crop.png", "moved/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        made.save(tmp_path / name)
    with Table(tmp_path / "films" / "old") as table:
        for film in ("a", "sub/b\n"):
            table.add(failed_row(PurePath(film), path=Path("x"), error="no"))
    touch(tmp_path, "films/old/run.json", "films/old/a_left.png", "films/old/sub/b\n_seg.dcm")
    touch(tmp_path, "films/old/c_left.png")  # no result of that run
    touch(tmp_path, "moved/a_mask.png", "moved/a_overlay.png", "moved/b_mask.png")
    touch(tmp_path, "moved/a_overlay.jpg")
    text = PngInfo()
    text.add_text("pleura:box", "1,2,3,4")
    made.save(tmp_path / "moved" / "x_crop.png", pnginfo=text)
    search = find_films([tmp_path])
    assert sorted(film.path.name for film in search.films) == [
        "a.png", "a.png", "b.png", "b_mask.png", "c_left.png"
    ]  # fmt: skip
    assert sorted(Path(name).name for name in search.left_out.results.first) == [
        "a_crop.png", "a_left.png", "a_mask.png", "a_overlay.jpg", "a_overlay.png", "b\n_seg.dcm",
        "results.csv", "run.json", "x_crop.png",
    ]  # fmt: skip
    inside = find_films([f"{tmp_path}/films/old/*.png"])
    assert [film.path.name for film in inside.films] == ["c_left.png"]
