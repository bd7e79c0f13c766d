"""Output of native code and logs of libraries are discarded in services."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import httpx
import pytest

from pleura.apps.quiet import discard_native_output, silence_libraries

PRINTING = """
import ctypes, logging, os, subprocess, sys
from pleura.apps.quiet import discard_native_output
libc = ctypes.CDLL(None)
def shout():
    for number in (1, 2):
        libc.write(number, b"PATIENT\\n", 8)
    libc.puts(b"PATIENT"); libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('PATIENT')"])
with discard_native_output():
    shout()
    print("ours")
    print("ours, too", file=sys.stderr)
    logging.getLogger("pleura.serve").error("logged")
print("after")
print("and after", file=sys.stderr)
libc.write(2, b"native again\\n", 13)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="calls the C library of POSIX")
def test_only_output_of_python_is_shown() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PRINTING], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0
    assert run.stdout.splitlines() == ["ours", "after"]
    expected = ["ours, too", "logged", "and after", "native again"]
    assert run.stderr.splitlines() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="shell of POSIX")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_work(closed: str, tmp_path: Path) -> None:
    script = tmp_path / "loud.py"
    script.write_text(PRINTING)
    command = f"{sys.executable} {script} {closed}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "PATIENT" not in run.stdout + run.stderr


def test_a_replaced_stream_is_not_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with discard_native_output():
        print("heard")  # noqa: T201
    assert capsys.readouterr().out == "heard\n"


def test_libraries_log_again_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    loud = ("pydicom", "pynetdicom.acse", "highdicom", "PIL.TiffImagePlugin", "nibabel.global")
    with caplog.at_level(logging.DEBUG):
        with silence_libraries():
            for name in loud:
                logging.getLogger(name).warning("Roe")
            warnings.warn("Roe", UserWarning, stacklevel=1)
            logging.getLogger("pleura.node").warning("ours")
        assert [record.message for record in caplog.records] == ["ours"]
        for name in loud:
            logging.getLogger(name).warning("after")
    assert len(caplog.records) == 1 + len(loud)


SERVE = """
import ctypes, logging, sys, warnings
from pleura.apps.cli.main import main
from pleura.apps.serve.responses import film_response
from pleura.core.errors import UnreadableFilm
def shout(*args, **options):
    ctypes.CDLL(None).write(2, b"PATIENT\\n", 8)
    logging.getLogger("pydicom").error("PATIENT")
    logging.getLogger("highdicom.seg").warning("PATIENT")
    warnings.warn("PATIENT")
    raise UnreadableFilm("torn")
film_response.read_film = shout
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals and C library of POSIX")
def test_the_service_hides_the_output_of_decoders(tiny_weights: Path) -> None:
    command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--weights", str(tiny_weights)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        address = re.search(r"http://\S+", first)
        assert address is not None
        response = httpx.post(f"{address[0]}/v1/segmentations", content=b"x", timeout=60)
        assert (response.status_code, response.json()["detail"]) == (415, "torn")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    assert err == "pleura: ended; every film that was accepted has its answer\n"
