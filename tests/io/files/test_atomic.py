from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pleura.core.errors import OutputError
from pleura.io.files.atomic import atomic_write, remove_partial_files, write_with_digest
from pleura.io.run.find import find_films

SIZE = 3_000_000

WRITER = f"""
import sys
from pathlib import Path
from pleura.io.files.atomic import atomic_write
path = Path(sys.argv[1])
for turn in range(10**6):
    with atomic_write(path) as file:
        for _ in range(30):
            file.write(bytes([97 + turn % 26]) * ({SIZE} // 30))
"""


def test_a_file_and_its_digest_lie_side_by_side(tmp_path: Path) -> None:
    write_with_digest(tmp_path / "deep" / "weights.onnx", b"abc")
    assert (tmp_path / "deep" / "weights.onnx").read_bytes() == b"abc"
    # FIPS 180-4's example.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    beside = tmp_path / "deep" / "weights.onnx.sha256"
    assert beside.read_bytes() == f"{digest}  weights.onnx\n".encode()


def test_writes_bytes_and_text_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "film.bin"
    with atomic_write(path) as file:
        file.write(b"\0\1")
        assert not path.exists()  # not before the block ends
    assert path.read_bytes() == b"\0\1"
    with atomic_write(path, "w") as text:
        text.write("é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "film.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path, "w") as file:
            file.write("new")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_path_that_cannot_be_written_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "film.png"
    expected = pytest.raises(OutputError, match=r"cannot write .*film\.png: .*choose another")
    with expected, atomic_write(path):
        pass


def test_a_file_respects_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "film") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "film").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.11])
def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "film.png"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
        while not path.exists():
            assert writer.poll() is None
            time.sleep(0.002)
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
    content = path.read_bytes()
    assert len(content) == SIZE
    assert len(set(content)) == 1
    assert [film.path for film in find_films([tmp_path]).films] == [path]  # a leftover is no film
    leftovers = len(list(tmp_path.iterdir())) - 1
    assert remove_partial_files(tmp_path) == leftovers
    assert list(tmp_path.iterdir()) == [path]


def test_only_partial_files_of_ended_processes_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    dead = folder / f".pleura-{gone.pid}-00ff00ff.part"
    alive = folder / f".pleura-{os.getpid()}-00ff00ff.part"
    other = folder / ".pleura-notes.part"
    for path in (dead, alive, other):
        path.write_bytes(b"")
    assert remove_partial_files(tmp_path) == 1
    assert sorted(folder.iterdir()) == sorted([alive, other])
