"""Downloads from a local server that breaks off, ignores ranges or changes the file."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pleura.core.errors import DataError, UsageError
from pleura.lab.data import resumable_download
from pleura.lab.data.download import ARCHIVES, fetch

SIZE = 600_000
"""The bytes of incompressible data in the archive."""

NAME = ARCHIVES["montgomery"].file_name


def archive(seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).bytes(SIZE)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as content:
        content.writestr("MontgomerySet/CXR_png/MCUCXR_0001_0.png", noise)
        content.writestr("MontgomerySet/ManualMask/Thumbs.db", b"litter")
        content.writestr("__MACOSX/MontgomerySet/._x", b"litter")
    return out.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Host:
    """The behaviour of the server, and the requests to it."""

    content: bytes
    ranges: bool = True
    tag: str | None = '"v1"'
    cut_after: list[int] = field(default_factory=list)
    """The number of bytes after which each next answer is cut; then no more cuts."""

    requested: list[str | None] = field(default_factory=list)
    """The Range header of each request."""

    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    host: Host

    def do_GET(self) -> None:
        host = self.host
        requested = self.headers.get("Range")
        host.requested.append(requested)
        if not self.path.endswith(".zip"):
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested else 0  # type: ignore[index]
        same = self.headers.get("If-Range") in (None, host.tag)
        total = len(host.content)
        if not (requested and host.ranges and same):
            start = 0
            self.send_response(200)
        elif start >= total:
            self.send_error(416)
            return
        else:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start))
        if host.tag:
            self.send_header("ETag", host.tag)
        self.end_headers()
        end = start + host.cut_after.pop(0) if host.cut_after else total
        self.wfile.write(host.content[start:end])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(resumable_download, "PAUSE_S", 0.0)
    host = Host(archive())
    handler = type("Handler", (_Handler,), {"host": host})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    host.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


def unpacked(folder: Path) -> bytes:
    return (folder / "CXR_png" / "MCUCXR_0001_0.png").read_bytes()


def test_an_archive_is_downloaded_checked_and_unpacked(host: Host, tmp_path: Path) -> None:
    progress: list[tuple[str, int, int | None]] = []
    fetched = fetch(
        "montgomery", tmp_path, url=host.url, progress=lambda *step: progress.append(step)
    )
    assert fetched.folder == tmp_path / "MontgomerySet"
    assert unpacked(fetched.folder) == np.random.default_rng(0).bytes(SIZE)
    assert fetched.sha256 == digest(host.content)
    assert fetched.first_use
    lock = tmp_path / f"{NAME}.sha256"
    assert lock.read_text() == f"{fetched.sha256}  {NAME}\n"  # as `sha256sum -c` reads it
    downloaded = [done for phase, done, _ in progress if phase == "download"]
    assert downloaded == sorted(downloaded)
    assert progress[len(downloaded) - 1] == ("download", len(host.content), len(host.content))
    assert progress[-1] == ("unpack", SIZE, SIZE)  # litter is left in the archive
    assert not (fetched.folder / "ManualMask").exists()
    assert {path.name for path in tmp_path.iterdir()} == {NAME, lock.name, "MontgomerySet"}


def test_an_existing_archive_is_not_downloaded_again(host: Host, tmp_path: Path) -> None:
    fetch("montgomery", tmp_path, url=host.url)
    again = fetch("montgomery", tmp_path, url=host.url)
    assert len(host.requested) == 1
    assert not again.first_use


def test_a_broken_download_is_resumed(host: Host, tmp_path: Path) -> None:
    host.cut_after = [300_000, 100_000]
    fetched = fetch("montgomery", tmp_path, url=host.url)
    assert host.requested == [None, "bytes=300000-", "bytes=400000-"]
    assert fetched.sha256 == digest(host.content)


def test_an_aborted_run_is_resumed_by_the_next(host: Host, tmp_path: Path) -> None:
    host.cut_after = [250_000, *[0] * resumable_download.TRIES]
    with pytest.raises(DataError, match=r"250000 of 6.* the part that has arrived is kept"):
        fetch("montgomery", tmp_path, url=host.url)
    assert (tmp_path / f"{NAME}.part").stat().st_size == 250_000
    host.requested.clear()
    fetched = fetch("montgomery", tmp_path, url=host.url)
    assert host.requested == ["bytes=250000-"]
    assert unpacked(fetched.folder) == np.random.default_rng(0).bytes(SIZE)
    assert not list(tmp_path.glob("*.part*"))


def test_a_server_without_ranges_starts_over(host: Host, tmp_path: Path) -> None:
    host.ranges, host.cut_after = False, [300_000]
    fetched = fetch("montgomery", tmp_path, url=host.url)
    assert host.requested == [None, "bytes=300000-"]
    assert fetched.sha256 == digest(host.content)


@pytest.mark.parametrize("tag", ['"v2"', None])
def test_two_versions_of_a_file_are_never_mixed(
    host: Host, tmp_path: Path, tag: str | None
) -> None:
    """By its ETag if there is one, else by its length."""
    host.tag = host.tag if tag else None
    host.cut_after = [300_000, *[0] * resumable_download.TRIES]
    with pytest.raises(DataError):
        fetch("montgomery", tmp_path, url=host.url)
    host.content, host.tag = archive(1) + b"" if tag else archive(1) + b"longer", tag
    host.cut_after.clear()
    assert fetch("montgomery", tmp_path, url=host.url).sha256 == digest(host.content)


def test_a_download_killed_after_its_last_byte_sends_no_request(host: Host, tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    broken = resumable_download.Transfer(part)
    host.cut_after = [len(host.content)]
    broken._resume(host.url)  # without the last step, the renaming
    broken(host.url, str(tmp_path / "x"))
    assert len(host.requested) == 1
    assert (tmp_path / "x").read_bytes() == host.content


def test_a_part_longer_than_the_file_is_discarded(host: Host, tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(b"?" * (len(host.content) + 1))
    (tmp_path / "x.part.json").write_text(f'{{"url": "{host.url}", "total": 1}}')
    resumable_download.Transfer(part)(host.url, str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == host.content


def test_a_file_with_a_wrong_checksum_is_removed(host: Host, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"does not have the checksum {'0' * 64} and was not kept"):
        fetch("montgomery", tmp_path, url=host.url, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    right = digest(host.content).upper()
    assert not fetch("montgomery", tmp_path, url=host.url, sha256=right).first_use


def test_the_checksum_of_the_first_download_is_kept(host: Host, tmp_path: Path) -> None:
    fetch("montgomery", tmp_path, url=host.url)
    (tmp_path / NAME).unlink()
    host.content = archive(1)
    with pytest.raises(DataError, match=r"remove .*sha256 or give the new --sha256"):
        fetch("montgomery", tmp_path, url=host.url)
    (tmp_path / NAME).write_bytes(host.content)
    with pytest.raises(DataError, match=f"SHA-256 is {digest(host.content)}, expected"):
        fetch("montgomery", tmp_path, url=host.url)


def test_without_a_network_the_message_has_the_steps_by_hand(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{NAME}"
    with pytest.raises(DataError) as raised:
        fetch("montgomery", tmp_path / "films", url=url)
    message = str(raised.value)
    assert "refused" in message
    assert f"download {url}" in message
    assert ARCHIVES["montgomery"].page in message
    put = re.search(r"under this name: (.*)\n", message)
    assert put is not None
    Path(put[1]).write_bytes(archive())  # as the message says
    fetched = fetch("montgomery", tmp_path / "films", url=url)
    assert fetched.first_use
    assert unpacked(fetched.folder) == np.random.default_rng(0).bytes(SIZE)


def test_a_missing_file_on_the_server_is_an_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="answers 404 Not Found"):
        fetch("montgomery", tmp_path, url=host.url.replace(".zip", ".html"))
    with pytest.raises(DataError, match="unknown url type"):
        fetch("montgomery", tmp_path, url="films.zip")


def test_a_damaged_archive_is_an_error_and_leaves_no_folder(host: Host, tmp_path: Path) -> None:
    broken = bytearray(host.content)
    broken[1000] ^= 1  # inside the film: only its CRC tells
    host.content = bytes(broken)
    with pytest.raises(DataError, match=r"damaged, or no ZIP archive \(Bad CRC-32"):
        fetch("montgomery", tmp_path, url=host.url)
    assert not (tmp_path / "MontgomerySet").exists()
    (tmp_path / NAME).write_text("<html>moved</html>")
    (tmp_path / f"{NAME}.sha256").unlink()
    with pytest.raises(DataError, match="damaged, or no ZIP archive"):
        fetch("montgomery", tmp_path, url=host.url)


def packed(members: list[tuple[str, bytes, int]]) -> bytes:
    """A ZIP archive of (name, content, Unix mode), with unchanged names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as content:
        for name, data, mode in members:
            member = zipfile.ZipInfo("x")
            member.filename, member.external_attr = name, mode << 16
            content.writestr(member, data)
    return out.getvalue()


FILE, LINK = 0o100644, 0o120777


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "holds no file"),
        ([("MontgomerySet/", b"", 0o040755)], "holds no file"),
        ([("..", b"x", FILE)], "leads out of its folder"),
        ([("../out.png", b"x", FILE)], "leads out of its folder"),
        ([("a/../../out.png", b"x", FILE)], "leads out of its folder"),
        ([("/", b"", 0)], "leads out of its folder"),
        ([("/etc/out.png", b"x", FILE)], "leads out of its folder"),
        ([("..\\out.png", b"x", FILE)], "leads out of its folder"),
        ([("C:/out.png", b"x", FILE)], "leads out of its folder"),
        ([("", b"x", FILE)], "a file without a name"),
        ([(".", b"x", FILE)], "a file without a name"),
        ([("set/a.png", b"x", FILE), ("set/link", b"/etc/passwd", LINK)], "a link or a device"),
        ([("set", b"x", FILE), ("set/a.png", b"x", FILE)], "cannot be unpacked|damaged"),
        ([(NAME, b"", FILE), (f"{NAME}/a.png", b"x", FILE)], "cannot be unpacked|a file stands"),
    ],
)
def test_an_archive_with_paths_outside_its_folder_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes, int]], message: str
) -> None:
    place = tmp_path / "films"
    place.mkdir()
    (place / NAME).write_bytes(packed(members))
    with pytest.raises(DataError, match=message):
        fetch("montgomery", place)
    assert {path.name for path in place.iterdir()} <= {NAME, f"{NAME}.sha256"}
    assert [path.name for path in tmp_path.iterdir()] == ["films"]


def test_a_file_at_the_folders_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(archive())
    (tmp_path / "MontgomerySet").write_text("mine")
    with pytest.raises(DataError, match="this is a file, but"):
        fetch("montgomery", tmp_path)
    assert (tmp_path / "MontgomerySet").read_text() == "mine"


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no archive 'jsrt'; known are montgomery, shenzhen"):
        fetch("jsrt", tmp_path)
    with pytest.raises(UsageError, match="64 hexadecimal digits, got 'abc'"):
        fetch("montgomery", tmp_path, sha256="abc")
