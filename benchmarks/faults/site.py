"""A real node in its own process, films for it, and a sender."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context

from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.status import NodeStatus, read_status

FAULTY_NODE = Path(__file__).with_name("faulty_node.py")
"""A program that runs a node with faults of its own."""

WAIT_S = 120.0
NAME = "Zimmermann^Quirin"
"""The patient's name, which no log, status or queue may hold."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(true: Callable[[], Any], what: str, *, wait_s: float = WAIT_S) -> Any:
    """Wait until `true()` is true, and return its value; fail after `wait_s` seconds."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


class Node:
    """`pleura node` in its own process."""

    def __init__(
        self,
        folder: Path,
        arguments: list[str],
        *,
        log: Path,
        program: Sequence[str] = ("-m", "pleura"),
    ) -> None:
        self.folder, self.port, self._log = folder, free_port(), log
        self._arguments = [
            *(sys.executable, *program, "node", "--folder", str(folder)),
            *("--host", "127.0.0.1", "--port", str(self.port), "--retry", "1", "--threads", "1"),
            *arguments,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        before = self.log().count(" listens on ")
        process = self.launch()
        until(
            lambda: self.log().count(" listens on ") > before or process.poll() is not None,
            "the node listens",
        )
        assert process.poll() is None, self.log()

    def start_with(self, *options: str) -> None:
        """Start with more options, which the later starts have too."""
        self._arguments += options
        self.start()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, and do not wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        return self.process

    def kill(self) -> None:
        """Kill the process, as in a loss of power."""
        assert self.process
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def status(self) -> NodeStatus:
        return read_status(NodeFolder(self.folder))

    def has(self, **films: int) -> bool:
        """Whether so many films are in these states."""
        numbers = self.status().films
        return all(numbers[state] == number for state, number in films.items())

    def echo(self, title: str = "ORTHANC", *, called: str = "PLEURA") -> bool:
        """Whether C-ECHO is answered."""
        command = ["echoscu", "-to", "20", "-aet", title, "-aec", called]
        done = subprocess.run([*command, "127.0.0.1", str(self.port)], capture_output=True)
        return done.returncode == 0


def send(port: int, *films: Path | Dataset, title: str = "ORTHANC") -> list[int | None]:
    """C-STORE each film in one association; the statuses, None if there was no answer."""
    datasets = [pydicom.dcmread(film) if isinstance(film, Path) else film for film in films]
    kinds = {(str(d.SOPClassUID), str(d.file_meta.TransferSyntaxUID)) for d in datasets}
    contexts = [build_context(uid, syntax) for uid, syntax in sorted(kinds)]
    association = AE(title).associate("127.0.0.1", port, contexts, ae_title="PLEURA")
    assert association.is_established
    statuses = [association.send_c_store(dataset).get("Status") for dataset in datasets]
    association.release()
    return statuses


def as_read(film: FileDataset) -> FileDataset:
    """The same film, read from a file."""
    file = BytesIO()
    film.save_as(file)
    return pydicom.dcmread(BytesIO(file.getvalue()))


def make_film(pixels: np.ndarray[Any, Any], number: int, **tags: Any) -> FileDataset:
    """A DX film with the patient's name."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = meta.MediaStorageSOPClassUID
    film.SOPInstanceUID = generate_uid(entropy_srcs=["film", str(number)])
    film.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
    film.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(number)])
    meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.PatientName, film.PatientID = NAME, f"P{number}"
    film.Modality, film.ViewPosition, film.BodyPartExamined = "DX", "PA", "CHEST"
    film.StudyDate, film.InstanceNumber, film.SeriesNumber = "20260102", 1, 1
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = pixels.astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(film, name, value)
    return as_read(film)


@contextmanager
def small_disk(place: Path) -> Iterator[tuple[str, list[str]]]:
    """A disk of 7 MB if mounting is allowed, else a folder; and the node's options for it."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", str(place)]
    mounted = os.name == "posix" and subprocess.run(command, capture_output=True).returncode == 0
    try:
        options = ["--keep-free", "6"] if mounted else ["--quota", "1"]
        yield str(place / "node"), options
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)
