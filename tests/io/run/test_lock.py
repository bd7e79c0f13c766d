from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pleura.core.errors import UsageError
from pleura.io.run import lock
from pleura.io.run.lock import LOCK, locked_folder

HOLDER = """
import sys, time
from pathlib import Path
from pleura.io.run.lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds `tmp_path / "out"`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_and_the_error_names_the_holder(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    message = rf"another run is writing into .*out: process {holder.pid} on .*, since 20.*; wait"
    with pytest.raises(UsageError, match=message), locked_folder(out):
        pass
    assert (out / LOCK).exists()


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_the_lock_of_a_killed_process_is_released(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked_folder(tmp_path / "out") as locked:
        assert locked
    assert not (tmp_path / "out" / LOCK).exists()


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path),
        pytest.raises(UsageError, match=f"process {os.getpid()}"),
        locked_folder(tmp_path),
    ):
        pass
    with locked_folder(tmp_path):
        pass


def test_an_empty_folder_that_the_lock_made_is_removed(tmp_path: Path) -> None:
    with locked_folder(tmp_path / "empty"):
        assert (tmp_path / "empty" / LOCK).exists()
    with locked_folder(tmp_path / "full"):
        (tmp_path / "full" / "film").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_a_lock_file_that_another_run_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the lock's file and locking it, the run before ends and removes the file."""
    take, removed = lock._lock, []

    def slow(handle: int) -> bool:
        if not removed:
            (tmp_path / LOCK).unlink()
            removed.append(handle)
        return take(handle)

    monkeypatch.setattr(lock, "_lock", slow)
    with (
        locked_folder(tmp_path),
        pytest.raises(UsageError, match="another run"),
        locked_folder(tmp_path),
    ):
        pass
    assert removed


def test_a_file_system_without_locks_gives_false(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_lock", lambda _: False)
    with locked_folder(tmp_path) as locked:
        assert not locked
