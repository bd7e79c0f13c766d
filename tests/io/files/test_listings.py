from __future__ import annotations

from pathlib import Path

from pleura.io.files.listings import FolderListings
from pleura.io.files.walk import scan, walk


def test_files_are_there_as_isfile_says(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/deep/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "broken.png").symlink_to("gone.png")
    (tmp_path / "folder.png").mkdir()
    there = FolderListings(str(tmp_path))
    names = ("a.png", "link.png", "sub/b.png", "sub/deep/c.png", "sub/b.png", "a.png")
    assert all(name in there for name in names)
    for name in ("broken.png", "folder.png", "sub/c.png", "gone/a.png", "sub", ""):
        assert name not in there, name


def test_a_file_that_was_written_after_the_listing_is_there(tmp_path: Path) -> None:
    there = FolderListings(str(tmp_path))
    assert "a.png" not in there
    (tmp_path / "a.png").touch()
    assert "a.png" in there


def test_a_scan_tells_regular_files_from_links(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "c.png").touch()
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "linked").symlink_to("sub")
    top, below = scan(str(tmp_path))
    assert top[1:] == (["sub"], {"a.png": True, "b.png": False, "c.png": True, "linked": False})
    assert list(top[2]) == sorted(top[2])
    assert below == (str(tmp_path / "sub"), [], {})
    _, folders, names = next(iter(walk(str(tmp_path), follow=True)))
    assert (folders, names) == (["linked", "sub"], ["a.png", "b.png", "c.png"])
