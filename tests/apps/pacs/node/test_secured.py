"""TLS of senders and destinations, authorization of DICOMweb services, and too large objects."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pleura.apps.pacs.addresses import Sender, Senders, Settings, Tls
from pleura.apps.pacs.client import AUTH, Unreachable, web_client, web_errors
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.reception.scp import FilmReceiver, Scp
from pleura.core.errors import UsageError

BASE64_LOGIN = "ZmU6czplY3JldA=="  # base64 of fe:s:ecret


def openssl(*arguments: Any) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PEM files: a CA (ca) and its certificates (node, archive); another CA (stray)."""
    folder = tmp_path_factory.mktemp("tls")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    for name in ("ca", "stray"):
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl("req", "-x509", *new, "-days", "2", "-subj", f"/CN={name}", *files)
    for name in ("node", "archive"):
        key, request, cert = (folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signer = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
        openssl(
            *("x509", "-req", "-in", request, "-out", cert, "-days", "2", *signer),
            *("-extfile", folder / "san"),
        )
    return folder


@pytest.fixture
def archive(certified: Path, tmp_path: Path, tools: SimpleNamespace) -> Iterator[tuple[int, Path]]:
    """Dcmtk's storescp over TLS, with client certificates: its port and its folder."""
    port, stored = tools.free_port(), tmp_path / "archive"
    stored.mkdir()
    tls = [
        "+tls",
        certified / "archive.key",
        certified / "archive.pem",
        "+cf",
        certified / "ca.pem",
    ]
    command = ["storescp", *tls, "-rc", "+xa", "-od", stored, "-aet", "ARCHIVE", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tools.until(lambda: listens(port), "storescp listens")
    yield port, stored
    running.terminate()
    running.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tls_options(certified: Path, *, ca: str = "ca") -> list[str]:
    files = {"cert": "node.pem", "key": "node.key", "ca": f"{ca}.pem"}
    return [
        text for name, file in files.items() for text in (f"--tls-{name}", f"{certified / file}")
    ]


def storescu(port: int, film: Path, *tls: Any) -> int:
    command = ["storescu", *map(str, tls), "-aet", "ORTHANC", "-aec", "PLEURA", "127.0.0.1"]
    return subprocess.run([*command, str(port), str(film)], capture_output=True).returncode


def test_films_are_received_and_results_sent_over_tls(
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    certified: Path,
    archive: tuple[int, Path],
    tools: SimpleNamespace,
    tmp_path: Path,
) -> None:
    port, stored = archive
    to = f"tls:ARCHIVE@127.0.0.1:{port}"
    node = start_node("--from", "ORTHANC@127.0.0.1", "--to", to, *tls_options(certified))
    film = tmp_path / "film.dcm"
    small_films(1)[0].save_as(film)
    certificate = ("+tls", certified / "archive.key", certified / "archive.pem")
    ca = ("+cf", certified / "ca.pem")
    stray = ("+tls", certified / "stray.key", certified / "stray.pem")

    assert storescu(node.port, film) != 0
    assert storescu(node.port, film, "+tla", *ca) != 0  # without a certificate
    assert storescu(node.port, film, *stray, *ca) != 0  # with a certificate of another CA
    assert node.has(waiting=0, segmented=0, delivered=0)
    assert "no TLS with 127.0.0.1 (PEER_DID_NOT_RETURN_A_CERTIFICATE)" in node.log()
    assert "no TLS with 127.0.0.1 (CERTIFICATE_VERIFY_FAILED)" in node.log()
    assert storescu(node.port, film, *certificate, *ca) == 0
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert Counter(file.name.partition(".")[0] for file in stored.iterdir()) == {
        "SG": 1,  # Segmentation
        "SRc": 1,  # Comprehensive SR
        "SC": 1,
    }


def test_no_results_go_to_an_untrusted_destination(
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    certified: Path,
    archive: tuple[int, Path],
    tools: SimpleNamespace,
) -> None:
    port, stored = archive
    closed = tools.free_port()
    to = ["--to", f"tls:ARCHIVE@127.0.0.1:{port}", "--to", f"AWAY@127.0.0.1:{closed}"]
    ca = ["--tls-ca", str(certified / "stray.pem")]
    node = start_node("--from", "ORTHANC", *to, *ca)
    assert tools.send(node.port, *small_films(1)) == [0]
    tools.until(lambda: len(node.status().troubles) == 2, "both destinations have a trouble")
    troubles = {entry["place"]: entry["text"] for entry in node.status().troubles}
    assert "its certificate is not trusted (" in troubles[to[1]]
    assert troubles[to[3]] == "no connection (Connection refused)"
    assert not any(stored.iterdir())
    assert node.has(segmented=1)


def test_a_key_without_a_certificate_is_refused(
    run: Callable[..., Any], tmp_path: Path, certified: Path, tiny_weights: Path
) -> None:
    options = ["--folder", tmp_path / "node", "--port", "0", "--weights", tiny_weights]
    key = ["--tls-key", certified / "node.key"]
    ended = run("node", *options, "--anyone", "--to", "PACS@127.0.0.1:1", *key)
    assert ended.code == 2
    assert "give --tls-cert too" in " ".join(ended.err.split())


class _WebService(BaseHTTPRequestHandler):
    """Answers an empty list to clients with the server's `authorization`, and 401 to others."""

    def do_GET(self) -> None:
        is_authorized = self.headers.get("Authorization") == self.server.authorization  # type: ignore[attr-defined]
        self.send_response(200 if is_authorized else 401)
        self.send_header("Content-Type", "application/dicom+json")
        self.end_headers()
        self.wfile.write(b"[]" if is_authorized else b"")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _WebService)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield server
    server.shutdown()
    server.server_close()


def query(server: Any) -> list[Any]:
    client = web_client(f"http://127.0.0.1:{server.server_port}")
    with web_errors():
        studies: list[Any] = client.search_for_studies()
    return studies


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("fe:s:ecret", f"Basic {BASE64_LOGIN}"),  # a password may hold colons
        ("Bearer a:b.c", "Bearer a:b.c"),
        ("bearer x\n", "bearer x"),  # with a line break, as from a file
    ],
)
def test_requests_have_the_authorization_of_the_environment(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, header: str
) -> None:
    other = tmp_path / "netrc"  # it must not replace the environment
    other.write_text("machine 127.0.0.1 login other password other\n")
    other.chmod(0o600)
    monkeypatch.setenv("NETRC", str(other))
    service.authorization = header
    monkeypatch.setenv(AUTH, value)
    assert query(service) == []
    service.authorization = "Basic of somebody else"
    with pytest.raises(Unreachable, match=f"HTTP 401; see {AUTH} and ~/.netrc"):
        query(service)


def test_the_password_may_be_in_netrc(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fe password s:ecret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv(AUTH, raising=False)
    service.authorization = f"Basic {BASE64_LOGIN}"
    assert query(service) == []


def test_a_wrong_authorization_or_ca_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(AUTH, "token-without-a-word-before-it")
    with pytest.raises(UsageError, match="neither USER:PASSWORD nor 'Bearer TOKEN'") as caught:
        web_client("https://pacs/dicom-web")
    assert "token-without" not in str(caught.value)
    monkeypatch.delenv(AUTH)
    with pytest.raises(UsageError, match="TLS files cannot be used"):
        web_client("https://pacs/dicom-web", tmp_path / "none.pem")


def test_a_too_large_object_is_cut_off(
    small_films: Callable[[int], list[Dataset]], tools: SimpleNamespace, tmp_path: Path
) -> None:
    small, large = small_films(2)
    large.PixelData = b"\1" * 5_000_000
    large.Rows, large.Columns = 2500, 1000
    folder = NodeFolder(tmp_path / "node")
    folder.make()
    queue = Queue(folder.queue)
    settings = Settings(
        **{"ae": "PLEURA", "host": "127.0.0.1", "port": 0, "addresses": (), "formats": ()},
        senders=Senders((Sender("ORTHANC"),)),
        tls=Tls(),
    )
    receiver = FilmReceiver(
        queue, folder, DiskSpace(folder.root, keep_free=0), on_film=lambda: None
    )
    scp = Scp(settings, receiver, max_bytes=2_000_000)
    serving = threading.Thread(target=scp.serve)
    serving.start()
    try:
        assert tools.send(scp.port, small) == [0]
        assert tools.send(scp.port, large) == [None]
        assert tools.send(scp.port, small) == [0]  # the node continues
        assert len(list(folder.films.iterdir())) == 1
    finally:
        scp.stop(grace_s=1)
        serving.join(10)
        queue.close()
