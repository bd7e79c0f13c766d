"""Receiving films: senders, syntaxes, permissions, TLS, and wrong options."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, build_context

from pleura.apps.pacs.addresses import read_address, read_senders
from pleura.core.errors import UsageError

NOWHERE = ("--to", "AWAY@127.0.0.1:1")
FILM = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture
def node(start_node: Callable[..., Any]) -> Any:
    return start_node("--from", "ORTHANC@127.0.0.1", "--from", "AFAR@192.0.2.1", *NOWHERE)


def test_only_listed_senders_are_accepted(node: Any) -> None:
    assert node.echo("ORTHANC")
    assert not node.echo("STRANGER")
    assert not node.echo("AFAR")  # listed with another address
    assert not node.echo("ORTHANC", called="OTHER")
    assert node.status().counts == {"refused": 2}
    assert "STRANGER from 127.0.0.1 is not listed" in node.log()
    assert (
        "ORTHANC from 127.0.0.1, called with another AE title: OTHER; this is PLEURA" in node.log()
    )


def test_a_connection_from_an_unlisted_address_is_closed(start_node: Callable[..., Any]) -> None:
    node = start_node("--from", "ORTHANC@192.0.2.1", *NOWHERE)
    assert not node.echo("ORTHANC")
    assert "a connection from 127.0.0.1, which is not listed" in node.log()


def test_only_films_are_accepted_in_every_transfer_syntax(node: Any) -> None:
    syntaxes = [
        *(ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian),
        *(JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless),
    ]
    offered = [build_context(FILM, syntax) for syntax in syntaxes]
    association = AE("ORTHANC").associate(
        "127.0.0.1", node.port, [*offered, build_context(CTImageStorage)], ae_title="PLEURA"
    )
    accepted = {context.transfer_syntax[0] for context in association.accepted_contexts}
    refused = [context.abstract_syntax for context in association.rejected_contexts]
    association.release()
    assert accepted == set(syntaxes)
    assert refused == [CTImageStorage]


def test_a_film_is_on_the_disk_when_it_is_acknowledged(
    node: Any, tools: SimpleNamespace, small_films: Callable[[int], list[Dataset]]
) -> None:
    film = small_films(1)[0]
    assert tools.send(node.port, film) == [0]
    node.kill()
    (kept,) = (node.folder / "films").iterdir()
    content = kept.read_bytes()
    assert film.PixelData in content
    assert film.SOPInstanceUID.encode() in content


def test_another_film_with_the_same_uid_is_not_taken_for_the_first(
    node: Any, tools: SimpleNamespace, small_films: Callable[[int], list[Dataset]]
) -> None:
    """A sender that reuses a UID must not be told that its second film is on the disk."""
    film, other = small_films(2)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    assert tools.send(node.port, film, other) == [0, 0xB006]
    assert "it has the SOPInstanceUID of film 1, but other pixels" in node.log()
    tools.until(lambda: node.has(segmented=1), "the first film is segmented")
    assert node.status().counts == {"changed": 1}
    (kept,) = (node.folder / "films").iterdir()
    assert film.PixelData in kept.read_bytes()


def test_a_film_with_a_corrected_header_or_another_syntax_is_the_same_film(
    node: Any, tools: SimpleNamespace, small_films: Callable[[int], list[Dataset]]
) -> None:
    film = small_films(1)[0]
    assert tools.send(node.port, film) == [0]
    film.PatientName = "Corrected^Name"
    compressed = deepcopy(film)
    compressed.compress(RLELossless, generate_instance_uid=False)
    film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit = BytesIO()
    film.save_as(implicit, implicit_vr=True, enforce_file_format=True)
    assert tools.send(node.port, dcmread(BytesIO(implicit.getvalue())), compressed) == [0, 0]
    assert node.status().counts == {"duplicates": 2}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_the_folder_is_closed_to_others_and_holds_no_identity(
    node: Any, tools: SimpleNamespace, small_films: Callable[[int], list[Dataset]]
) -> None:
    film = small_films(1)[0]
    assert tools.send(node.port, film) == [0]
    tools.until(lambda: node.has(segmented=1), "the results are there")
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in (node.folder, *node.folder.rglob("*"))
    }
    assert modes == {(True, 0o700), (False, 0o600)}
    assert tools.files_with_the_name(node.folder) == []
    uid = str(film.SOPInstanceUID).encode()
    assert not any(uid in path.read_bytes() for path in node.folder.glob("*.sqlite*"))


def test_a_failed_film_is_tried_again_when_it_is_sent_again(
    start_node: Callable[..., Any],
    tools: SimpleNamespace,
    small_films: Callable[[int], list[Dataset]],
) -> None:
    node = start_node("--from", "ORTHANC", *NOWHERE)
    good = small_films(1)[0]
    flat = small_films(1)[0]
    flat.PixelData = b"\0\0\1\0" * (len(good.PixelData) // 4)
    assert tools.send(node.port, flat) == [0]
    tools.until(lambda: node.has(failed=1), "the film of two values fails")
    assert "2 grey values" in node.status().failed[0]["reason"]
    assert len(list((node.folder / "films").iterdir())) == 1
    assert tools.send(node.port, good) == [0]  # the same UID
    tools.until(lambda: node.has(segmented=1, failed=0), "the film is segmented")


def test_two_nodes_cannot_share_a_folder(node: Any) -> None:
    command = [sys.executable, "-m", "pleura", "node", "--folder", str(node.folder)]
    options = ["--anyone", "--host", "127.0.0.1", "--port", "0", *NOWHERE]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"a node is running in {node.folder} already" in done.stderr


def test_films_are_received_over_tls_only_from_certified_clients(
    start_node: Callable[..., Any], tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    files = ["--tls-cert", str(cert), "--tls-key", str(key), "--tls-ca", str(cert)]
    node = start_node("--from", "ORTHANC", *files, *NOWHERE)

    silent = socket.create_connection(("127.0.0.1", node.port))  # it must not block others
    context = ssl.create_default_context(cafile=str(cert))
    context.load_cert_chain(cert, key)
    association = AE("ORTHANC").associate(
        "127.0.0.1",
        node.port,
        [build_context("1.2.840.10008.1.1")],
        ae_title="PLEURA",
        tls_args=(context, "127.0.0.1"),
    )
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()
    silent.close()

    uncertified = ssl.create_default_context(cafile=str(cert))
    with pytest.raises(OSError, match=r"required|closed|reset|EOF"):
        connect_with_tls(uncertified, node.port)
    assert "no TLS with 127.0.0.1" in node.log()


def connect_with_tls(context: ssl.SSLContext, port: int) -> None:
    """Connect and send a byte; with TLS 1.3 only the answer shows a refusal."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as wrapped,
    ):
        wrapped.sendall(b"\x01\0")
        if wrapped.recv(1) == b"":
            raise OSError("closed")


def test_a_stop_waits_for_the_present_film_only(
    node: Any, tools: SimpleNamespace, small_films: Callable[[int], list[Dataset]]
) -> None:
    films = small_films(6)
    assert tools.send(node.port, *films) == [0] * 6
    start = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - start < 60
    status = node.status()
    assert not status.running
    assert sum(status.films.values()) == 6
    assert "ended; the remaining work is done at the next start" in node.log()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "results have nowhere to go"),
        (["--to", "PACS@host:104"], "no sender is accepted"),
        (["--to", "PACS", "--anyone"], "'PACS' is no destination"),
        (["--to", "PACS@host:99999", "--anyone"], "is no destination"),
        (["--to", "https://me:secret@host/dicom-web", "--anyone"], "seen by everybody"),
        (["--to", "PACS@host:104", "--anyone", "--ae", "A TITLE THAT IS TOO LONG"], "no AE title"),
        (["--to", "PACS@host:104", "--from", "A@no.such.host.invalid"], "is not known"),
        (["--to", "PACS@host:104", "--anyone", "-f", "dicom-sg"], "did you mean 'dicom-seg'"),
        (["--to", "P@host:104", "--anyone", "--tls-cert", "no.pem"], "TLS files cannot be used"),
    ],
)
def test_a_wrong_option_is_refused(
    run: Callable[..., Any], tmp_path: Path, tiny_weights: Path, arguments: list[str], message: str
) -> None:
    options = ["--folder", tmp_path / "node", "--port", "0", "--weights", tiny_weights]
    ended = run("node", *options, *arguments)
    assert ended.code == 2
    assert message in " ".join(ended.err.split())


def test_a_folder_without_a_node_has_no_status(run: Callable[..., Any], tmp_path: Path) -> None:
    ended = run("node", "status", "--folder", tmp_path)
    assert ended.code == 2
    assert "no node has run in" in ended.err


def test_addresses_are_parsed() -> None:
    peer = read_address("tls:PACS 1@[::1]:2762")
    assert (peer.ae, peer.host, peer.port, peer.tls) == ("PACS 1", "::1", 2762, True)
    assert read_address("https://pacs/dicom-web/").url == "https://pacs/dicom-web"
    senders = read_senders(["A", "B@127.0.0.1"])
    assert senders.may_send("A ", "192.0.2.7")
    assert senders.may_send("B", "127.0.0.1")
    assert not senders.may_send("B", "192.0.2.7")
    assert senders.may_send("B", "::ffff:127.0.0.1")  # the form of a listener on ::
    assert not senders.may_send("C", "127.0.0.1")
    with pytest.raises(UsageError, match="no sender is accepted"):
        read_senders([])
