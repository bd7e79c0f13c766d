"""Delivered means confirmed: what destinations answer, object by object."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.faults.site import free_port
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt

from pleura.apps.pacs.addresses import Address
from pleura.apps.pacs.client import Refused, Unreachable, web_client
from pleura.apps.pacs.destinations import CStore, Receipt, Stow

JSON, HTML = "application/dicom+json", "text/html; charset=utf-8"
KINDS = {"SEG": SegmentationStorage, "SR": ComprehensiveSRStorage}


class _Service(BaseHTTPRequestHandler):
    """Answers each request with the server's `answer`: status, media type, body."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, media_type, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body)
        self.server.requests += 1  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def service() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    server.requests = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield server
    server.shutdown()
    server.server_close()


def result(kind: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = KINDS[kind], f"1.2.{len(kind)}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", f"1.3.{len(kind)}"
    dataset.Modality, dataset.PatientName = kind, "A"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


RESULTS = [result("SEG"), result("SR")]
SEG, SR = (str(dataset.SOPInstanceUID) for dataset in RESULTS)


def answered(stored: dict[str, int], failed: dict[str, int]) -> bytes:
    """A STOW-RS answer: UIDs with the reasons of warnings (0 for none) and of failures."""

    def item(uid: str, reason: str, value: int) -> dict[str, Any]:
        more = {reason: {"vr": "US", "Value": [value]}} if value else {}
        return {"00081155": {"vr": "UI", "Value": [uid]}, **more}

    answer = {
        "00081199": [item(uid, "00081196", value) for uid, value in stored.items()],
        "00081198": [item(uid, "00081197", value) for uid, value in failed.items()],
    }
    named = {tag: {"vr": "SQ", "Value": items} for tag, items in answer.items() if items}
    return json.dumps(named).encode()


def stow(service: Any, status: int, media_type: str, body: bytes) -> Receipt:
    service.answer = status, media_type, body
    client = web_client(f"http://127.0.0.1:{service.server_port}")
    try:
        return Stow(client).send(RESULTS)
    finally:
        client._session.close()


@pytest.mark.parametrize("media_type", [JSON, f"{JSON}; charset=utf-8", "application/json"])
def test_an_answer_that_names_every_object_is_a_delivery(service: Any, media_type: str) -> None:
    receipt = stow(service, 200, media_type, answered({SEG: 0, SR: 0}, {}))
    assert receipt == Receipt(stored={SEG, SR})
    assert receipt.reason() == ""


def test_an_answer_in_xml_is_read(service: Any) -> None:
    item = (
        '<DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID">'
        '<Value number="1">{}</Value></DicomAttribute>'
    )
    items = "".join(
        f'<Item number="{number}">{item.format(uid)}</Item>'
        for number, uid in enumerate((SEG, SR), 1)
    )
    named = 'tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"'
    sequence = f"<DicomAttribute {named}>{items}</DicomAttribute>"
    body = f'<NativeDicomModel xml:space="preserve">{sequence}</NativeDicomModel>'.encode()
    assert stow(service, 200, "application/dicom+xml", body).stored == {SEG, SR}


def test_objects_are_confirmed_one_by_one(service: Any) -> None:
    receipt = stow(service, 202, JSON, answered({SEG: 0xB000}, {SR: 0x0122}))
    assert (receipt.stored, receipt.coerced) == ({SEG}, {SEG})
    assert receipt.refused == {SR: "Comprehensive SR Storage not stored, with status 0x0122"}
    receipt = stow(service, 202, JSON, answered({SEG: 0xB007}, {}))
    assert receipt.stored == set()
    assert "with status 0xb007" in receipt.refused[SEG]
    assert "without an answer" in receipt.refused[SR]


@pytest.mark.parametrize(
    ("status", "media_type", "body", "message"),
    [
        (200, JSON, b"", "without DICOM JSON or XML that names an object"),
        (200, JSON, b"{}", "without DICOM JSON or XML that names an object"),
        (200, "application/octet-stream", b"ok", "without DICOM JSON or XML"),
        (200, JSON, b"<html>", "invalid answer"),
        (200, "application/dicom+xml", b"<html>", "cannot be read"),
        (409, JSON, b"{}", "HTTP 409"),
        (500, HTML, b"<html>", "HTTP 500"),
    ],
)
def test_an_answer_that_names_nothing_is_a_refusal(
    service: Any, status: int, media_type: str, body: bytes, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        stow(service, status, media_type, body)


def test_a_login_page_is_no_answer_of_the_service(service: Any) -> None:
    with pytest.raises(Unreachable, match=r"HTTP 200 with text/html, a page for people"):
        stow(service, 200, HTML, b"<html>login</html>")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_says_how_long_to_wait(service: Any, status: int) -> None:
    with pytest.raises(Unreachable, match=f"HTTP {status}") as caught:
        stow(service, status, "application/json", b"")
    assert caught.value.retry_after_s == 7.0


def test_the_reason_why_a_service_has_no_connection_is_named(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = free_port()
    for url, message in (
        ("http://no-host.invalid/dicom-web", r"no connection \((Name|nodename|Temporary)"),
        (f"http://127.0.0.1:{closed}", r"no connection \(Connection refused\)"),
        (f"https://127.0.0.1:{service.server_port}", r"no TLS there \("),
    ):
        for retries in (0, 1):
            with pytest.raises(Unreachable, match=message):
                send_to(url, retries)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(Unreachable, match=r"the proxy before it: no connection \(Connection ref"):
        send_to("http://archive.invalid/dicom-web", 0)


def test_a_service_that_is_silent_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pleura.apps.pacs.client.ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for retries in (0, 1):
            with pytest.raises(Refused, match="no answer within"):
                send_to(f"http://127.0.0.1:{silent.getsockname()[1]}", retries)


def send_to(url: str, retries: int) -> None:
    client = web_client(url, retries=retries)
    try:
        Stow(client).send(RESULTS)
    finally:
        client._session.close()


CUT_OFF = -1
"""In place of a status: the connection ends without an answer."""


@contextmanager
def peer(statuses: dict[str, int], kinds: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """A DICOM node that takes these kinds of objects; its port, and what it was sent."""
    entity, sent = AE("PACS"), list[str]()
    for kind in kinds:
        entity.add_supported_context(kind, ImplicitVRLittleEndian)

    def store(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)  # type: ignore[union-attr]
        sent.append(uid)
        if statuses.get(uid) == CUT_OFF:
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            return 0
        return statuses.get(uid, 0)

    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield server.server_address[1], sent
    finally:
        server.shutdown()


def c_store(port: int) -> Receipt:
    return CStore(Address("PACS", ae="PACS", host="127.0.0.1", port=port), ae="PLEURA").send(
        RESULTS
    )


def test_warnings_of_a_peer_are_distinguished() -> None:
    with peer({SEG: 0xB000, SR: 0xB007}, tuple(KINDS.values())) as (port, sent):
        receipt = c_store(port)
    assert sent == [SEG, SR]
    assert (receipt.stored, receipt.coerced) == ({SEG}, {SEG})
    assert receipt.refused == {SR: "Comprehensive SR Storage not stored, with status 0xb007"}


def test_nothing_more_is_sent_after_an_association_was_cut_off() -> None:
    with peer({SEG: CUT_OFF}, tuple(KINDS.values())) as (port, sent):
        receipt = c_store(port)
    assert sent == [SEG]
    assert receipt.refused == {
        SEG: "Segmentation Storage not stored, without an answer",
        SR: "Comprehensive SR Storage not stored, the association was cut off",
    }


def test_a_kind_of_object_that_a_peer_does_not_take_holds_up_no_other() -> None:
    with peer({}, (ComprehensiveSRStorage,)) as (port, _):
        receipt = c_store(port)
    assert receipt.stored == {SR}
    assert "Segmentation Storage is a kind of object that it does not accept" in receipt.reason()


def test_a_peer_that_takes_no_kind_refuses() -> None:
    with (
        peer({}, (SecondaryCaptureImageStorage,)) as (port, _),
        pytest.raises(Refused, match="does not accept these kinds"),
    ):
        c_store(port)


def test_a_peer_whose_name_is_not_known_is_unreachable() -> None:
    """The reason is not the disk of the node, to which other errors of the system belong."""
    address = Address("PACS", ae="PACS", host="no-host.invalid", port=104)
    with pytest.raises(Unreachable, match=r"no connection \((Name|nodename|Temporary)"):
        CStore(address, ae="PLEURA").send(RESULTS)


def test_an_archive_without_segmentations_gets_the_rest_once(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_node: Callable[..., Any],
) -> None:
    kinds = (ComprehensiveSRStorage, SecondaryCaptureImageStorage)
    with peer({}, kinds) as (port, sent):
        node = start_node("--from", "ORTHANC", "--to", f"PACS@127.0.0.1:{port}")
        assert tools.send(node.port, small_films(1)[0]) == [0]
        tools.until(
            lambda: any(film["attempts"] >= 2 for film in node.status().refused), "two refusals"
        )
        node.kill()
        node.start()
        tools.until(
            lambda: any(film["attempts"] >= 3 for film in node.status().refused), "a third one"
        )
    assert len(sent) == len(set(sent)) == 2
    (refused,) = node.status().refused
    assert refused["reason"] == "it does not accept these kinds of objects: Segmentation Storage"
    assert len(list((node.folder / "films").iterdir())) == 1


def test_a_web_page_is_no_delivery(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_node: Callable[..., Any],
    service: Any,
) -> None:
    service.answer = 200, HTML, b"<html>login</html>"
    node = start_node("--from", "ORTHANC", "--to", f"http://127.0.0.1:{service.server_port}")
    assert tools.send(node.port, small_films(1)[0]) == [0]
    tools.until(lambda: service.requests >= 2, "the node tries again")
    status = node.status()
    assert status.films["segmented"] == 1
    assert status.films["delivered"] == 0
    assert "a page for people" in status.troubles[0]["text"]
    assert len(list((node.folder / "films").iterdir())) == 1
