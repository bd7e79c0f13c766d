"""TLS to a destination and from a sender, passwords of web services, objects larger than films."""

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
from pleura.apps.pacs.client import AUTH, Unreachable, answered, web_client
from pleura.apps.pacs.node.folder import NodeFolder, Space
from pleura.apps.pacs.node.queue import Queue
from pleura.apps.pacs.node.scp import Reception, Scp
from pleura.core.errors import UsageError

ME = "ZmU6czplY3JldA=="  # base64 of fe:s:ecret


def openssl(*arguments: Any) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PEM files: a CA (ca), its certificates for 127.0.0.1 (node, archive), a stray."""
    at = tmp_path_factory.mktemp("tls")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    (at / "san").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("ca", "stray"):
        files = ("-keyout", at / f"{name}.key", "-out", at / f"{name}.pem")
        openssl("req", "-x509", *new, "-days", "2", "-subj", f"/CN={name}", *files)
    for name in ("node", "archive"):
        key, request, cert = (at / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signer = ("-CA", at / "ca.pem", "-CAkey", at / "ca.key", "-CAcreateserial")
        openssl(
            *("x509", "-req", "-in", request, "-out", cert, "-days", "2", *signer),
            *("-extfile", at / "san"),
        )
    return at


@pytest.fixture
def archive(certified: Path, tmp_path: Path, tools: SimpleNamespace) -> Iterator[tuple[int, Path]]:
    """Dcmtk's storescp over TLS, which wants certificates too: its port, and where it stores."""
    port, into = tools.free_port(), tmp_path / "archive"
    into.mkdir()
    tls = [
        "+tls",
        certified / "archive.key",
        certified / "archive.pem",
        "+cf",
        certified / "ca.pem",
    ]
    command = ["storescp", *tls, "-rc", "+xa", "-od", into, "-aet", "ARCHIVE", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tools.until(lambda: listens(port), "storescp listens")
    yield port, into
    running.terminate()
    running.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def tls_options(certified: Path, *, ca: str = "ca") -> list[str]:
    files = {"cert": "node.pem", "key": "node.key", "ca": f"{ca}.pem"}
    return [
        text for name, file in files.items() for text in (f"--tls-{name}", f"{certified / file}")
    ]


def storescu(port: int, film: Path, *tls: Any) -> int:
    command = ["storescu", *map(str, tls), "-aet", "ORTHANC", "-aec", "PLEURA", "127.0.0.1"]
    return subprocess.run([*command, str(port), str(film)], capture_output=True).returncode


def test_films_come_and_results_go_over_tls(
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    certified: Path,
    archive: tuple[int, Path],
    tools: SimpleNamespace,
    tmp_path: Path,
) -> None:
    port, into = archive
    to = f"tls:ARCHIVE@127.0.0.1:{port}"
    node = start_node("--from", "ORTHANC@127.0.0.1", "--to", to, *tls_options(certified))
    film = tmp_path / "film.dcm"
    small_films(1)[0].save_as(film)
    ours = ("+tls", certified / "archive.key", certified / "archive.pem")
    known = ("+cf", certified / "ca.pem")
    stray = ("+tls", certified / "stray.key", certified / "stray.pem")

    assert storescu(node.port, film) != 0
    assert storescu(node.port, film, "+tla", *known) != 0  # it shows no certificate
    assert storescu(node.port, film, *stray, *known) != 0  # it shows one of nobody we know
    assert node.has(waiting=0, segmented=0, delivered=0)
    assert "no TLS with 127.0.0.1 (PEER_DID_NOT_RETURN_A_CERTIFICATE)" in node.log()
    assert "no TLS with 127.0.0.1 (CERTIFICATE_VERIFY_FAILED)" in node.log()
    assert storescu(node.port, film, *ours, *known) == 0
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert Counter(each.name.partition(".")[0] for each in into.iterdir()) == {
        "SG": 1,  # Segmentation
        "SRc": 1,  # Comprehensive SR
        "SC": 1,
    }


def test_results_go_to_nobody_whose_certificate_is_not_trusted(
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    certified: Path,
    archive: tuple[int, Path],
    tools: SimpleNamespace,
) -> None:
    port, into = archive
    closed = tools.free_port()
    to = ["--to", f"tls:ARCHIVE@127.0.0.1:{port}", "--to", f"AWAY@127.0.0.1:{closed}"]
    ca = ["--tls-ca", str(certified / "stray.pem")]
    node = start_node("--from", "ORTHANC", *to, *ca)
    assert tools.send(node.port, *small_films(1)) == [0]
    tools.until(lambda: len(node.status().troubles) == 2, "both are told to be in trouble")
    told = {each["place"]: each["text"] for each in node.status().troubles}
    assert "its certificate is not trusted (" in told[to[1]]
    assert told[to[3]] == "no connection (Connection refused)"
    assert not any(into.iterdir())
    assert node.has(segmented=1)


def test_a_key_without_a_certificate_is_refused(
    run: Callable[..., Any], tmp_path: Path, certified: Path, tiny_weights: Path
) -> None:
    options = ["--folder", tmp_path / "node", "--port", "0", "--weights", tiny_weights]
    key = ["--tls-key", certified / "node.key"]
    ended = run("node", *options, "--anyone", "--to", "PACS@127.0.0.1:1", *key)
    assert ended.code == 2
    assert "give --tls-cert too" in " ".join(ended.err.split())


class _Asked(BaseHTTPRequestHandler):
    """Answers an empty list to who is authorized as the server's `wanted` says."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == self.server.wanted  # type: ignore[attr-defined]
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/dicom+json")
        self.end_headers()
        self.wfile.write(b"[]" if known else b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server: Any) -> list[Any]:
    with answered():
        found: list[Any] = web_client(f"http://127.0.0.1:{server.server_port}").search_for_studies()
    return found


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("fe:s:ecret", f"Basic {ME}"),  # a password may hold colons
        ("Bearer a:b.c", "Bearer a:b.c"),
        ("bearer x\n", "bearer x"),  # as $(cat file) without the shell's help gives it
    ],
)
def test_a_web_service_is_told_who_asks(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, sent: str
) -> None:
    other = tmp_path / "netrc"  # it must not take the place of what was said
    other.write_text("machine 127.0.0.1 login other password other\n")
    other.chmod(0o600)
    monkeypatch.setenv("NETRC", str(other))
    service.wanted = sent
    monkeypatch.setenv(AUTH, told)
    assert ask(service) == []
    service.wanted = "Basic of somebody else"
    with pytest.raises(Unreachable, match=f"HTTP 401; see {AUTH} and ~/.netrc"):
        ask(service)


def test_a_password_may_lie_in_netrc(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fe password s:ecret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv(AUTH, raising=False)
    service.wanted = f"Basic {ME}"
    assert ask(service) == []


def test_a_wrong_authorization_or_ca_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(AUTH, "token-without-a-word-before-it")
    with pytest.raises(UsageError, match="neither USER:PASSWORD nor 'Bearer TOKEN'") as caught:
        web_client("https://pacs/dicom-web")
    assert "token-without" not in str(caught.value)
    monkeypatch.delenv(AUTH)
    with pytest.raises(UsageError, match="TLS files cannot be used"):
        web_client("https://pacs/dicom-web", tmp_path / "none.pem")


def test_an_object_larger_than_any_film_is_cut_off(
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
    reception = Reception(queue, folder, Space(folder.root, keep_free=0), arrived=lambda: None)
    scp = Scp(settings, reception, most_bytes=2_000_000)
    serving = threading.Thread(target=scp.serve)
    serving.start()
    try:
        assert tools.send(scp.port, small) == [0]
        assert tools.send(scp.port, large) == [None]
        assert tools.send(scp.port, small) == [0]  # it goes on
        assert len(list(folder.films.iterdir())) == 1
    finally:
        scp.stop(grace_s=1)
        serving.join(10)
        queue.close()
