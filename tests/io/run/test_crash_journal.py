"""The journal names the films that were being read when a process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pleura.io.run.crash_journal import JOURNAL, Journal

READS_TWO = """
import os, signal, sys
from pathlib import Path
from pleura.io.run.crash_journal import Journal
with Journal(Path(sys.argv[1])) as journal:
    with journal.reading("finished"):
        pass
    with journal.reading("a/first"), journal.reading("s\\udce9cond"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_the_names_of_the_films_it_was_reading(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", READS_TWO, tmp_path])
    assert killed.returncode == -signal.SIGKILL
    assert Journal(tmp_path).unfinished == {"a/first", "s\udce9cond"}


def test_a_run_that_ends_normally_removes_its_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "new") as journal, journal.reading("film"):
        assert (tmp_path / "new" / JOURNAL).read_bytes().strip(b"\0") == b"film"
    assert list((tmp_path / "new").iterdir()) == []
    assert Journal(tmp_path).unfinished == frozenset()


def test_a_later_run_begins_with_an_empty_journal(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", READS_TWO, tmp_path])
    journal = Journal(tmp_path)
    with journal:
        assert len(journal.unfinished) == 2
        assert Journal(tmp_path).unfinished == frozenset()


def test_threads_share_a_journal(tmp_path: Path) -> None:
    def read(number: int) -> None:
        with journal.reading(f"film {number}"):
            assert f"film {number}" in Journal(tmp_path).unfinished

    with Journal(tmp_path) as journal, ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(200)))
        assert (tmp_path / JOURNAL).stat().st_size <= 4 * 8192
