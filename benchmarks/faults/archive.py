"""An archive in memory, by C-STORE and STOW-RS, whose answers can be wrong, late or missing."""

from __future__ import annotations

import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt

from benchmarks.faults.site import free_port
from pleura.io.dicom.received import references

JSON, HTML = "application/dicom+json", "text/html; charset=utf-8"
KINDS = (SegmentationStorage, ComprehensiveSRStorage, SecondaryCaptureImageStorage)
Answer = tuple[int, str, bytes]
"""HTTP status, media type, body."""


class Archive:
    """An archive that keeps one object of each SOPInstanceUID, as archives do."""

    def __init__(self) -> None:
        self.port, self.web_port = free_port(), free_port()
        self.objects: dict[str, Dataset] = {}
        self.received = 0
        self.refused: set[str] = set()
        """SOP classes that are answered with 0x0122, SOP class not supported."""

        self.answers: deque[Callable[[Sequence[Dataset]], Answer]] = deque()
        """The answers to the next requests of STOW-RS, in place of storing."""

        self.lost_answers = 0
        """So many of the next objects are stored, and the connection ends without an answer."""

        self._dicom: Any = None
        self._web: ThreadingHTTPServer | None = None

    def start(self) -> None:
        entity = AE("PACS")
        for kind in KINDS:
            entity.add_supported_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        handlers = [(evt.EVT_C_STORE, self._answer_store)]
        self._dicom = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )
        self._web = ThreadingHTTPServer(("127.0.0.1", self.web_port), _Service)
        self._web.archive = self  # type: ignore[attr-defined]
        threading.Thread(target=self._web.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._dicom is not None and self._web is not None:
            self._dicom.shutdown()
            self._web.shutdown()
            self._web.server_close()
            self._dicom = self._web = None

    def store(self, objects: Iterable[Dataset]) -> None:
        for dataset in objects:
            self.received += 1
            self.objects[str(dataset.SOPInstanceUID)] = dataset

    def results_by_film(self) -> dict[str, Counter[str]]:
        """For the UID of each film that results refer to: their number, by modality.

        Reports that a film failed are left out: `failure_reports` counts them.
        """
        by_film: dict[str, Counter[str]] = {}
        for dataset in list(self.objects.values()):
            if is_failure(dataset):
                continue
            for film in referenced_in(dataset) - self.objects.keys():
                by_film.setdefault(film, Counter())[str(dataset.Modality)] += 1
        return by_film

    def failure_reports(self) -> int:
        return sum(map(is_failure, self.objects.values()))

    def _answer_store(self, event: evt.Event) -> int:
        dataset = event.dataset
        if dataset.SOPClassUID in self.refused:
            return 0x0122
        self.store([dataset])
        if self.lost_answers:
            self.lost_answers -= 1
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        return 0


class _Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        archive: Archive = self.server.archive  # type: ignore[attr-defined]
        objects = objects_in(body)
        if archive.answers:
            status, media_type, content = archive.answers.popleft()(objects)
        else:
            archive.store(objects)
            status, media_type, content = 200, JSON, names(objects)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def objects_in(body: bytes) -> list[Dataset]:
    """The DICOM objects of a request of STOW-RS."""
    boundary = body.lstrip().partition(b"\r\n")[0]
    parts = (part.partition(b"\r\n\r\n")[2] for part in body.split(boundary)[1:-1])
    return [pydicom.dcmread(BytesIO(part)) for part in parts]


def names(objects: Iterable[Dataset]) -> bytes:
    """An answer of STOW-RS that these objects are stored."""
    answer = Dataset()
    answer.ReferencedSOPSequence = references(objects)
    return answer.to_json().encode()


def is_failure(dataset: Dataset) -> bool:
    return "FAILED" in dataset.SeriesDescription


def referenced_in(dataset: Dataset) -> set[str]:
    """The UIDs of all instances that an object refers to, at any place."""
    return {
        str(element.value)
        for element in dataset.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }
