"""`pleura segment` with small weights, a folder of many films, and object stores.

One store is like S3, the other one is an emulator of Google Cloud Storage.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

import pytest

Store = dict[str, bytes]
"""The content of each file, by `bucket/key`."""


@pytest.fixture
def segment(run: Callable[..., Any], tiny_weights: Path) -> Callable[..., Any]:
    """`pleura segment ... --weights tiny.onnx --threads 1`."""
    return lambda *arguments: run("segment", *arguments, "--weights", tiny_weights, "--threads", 1)


@pytest.fixture
def many(films: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with as many films as FILMS of the module says, and a damaged one."""
    folder = tmp_path / "many"
    for number in range(request.module.FILMS):
        place = folder / f"site{number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(films / ("a.png", "b.png")[number % 2], place)
    (folder / "damaged.png").write_bytes(b"no film")
    return folder


@pytest.fixture
def equal_films(films: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with as many copies of one film as FILMS of the module says: 000.png and so on."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(request.module.FILMS):
        shutil.copy(films / "a.png", folder / f"{number:03}.png")
    return folder


class _S3(BaseHTTPRequestHandler):
    """ListObjectsV2, HEAD and GET of objects."""

    protocol_version = "HTTP/1.1"
    files: Store

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        name, query = unquote(asked.path).strip("/"), parse_qs(asked.query)
        if "list-type" in query:
            prefix = f"{name}/{query.get('prefix', [''])[0]}"
            self._answer(200, _listed(self.files, name, prefix, query.get("delimiter", [""])[0]))
        elif name in self.files:
            self._answer_part(self.files[name])
        else:
            self._answer(404, b"")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server gives it

    def _answer_part(self, content: bytes) -> None:
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(start) : int(end) + 1 if end else None]
        self._answer(206 if "Range" in self.headers else 200, part)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _listed(files: Store, bucket: str, prefix: str, delimiter: str) -> bytes:
    keys = [name for name in files if name.startswith(prefix)]
    below = {name: name[len(prefix) :] for name in keys}
    folders = {rest.split("/")[0] for rest in below.values() if delimiter and "/" in rest}
    objects = [name for name, rest in below.items() if not (delimiter and "/" in rest)]
    start = prefix.removeprefix(f"{bucket}/")
    items = "".join(
        f"<Contents><Key>{escape(name.removeprefix(f'{bucket}/'))}</Key>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<Size>{len(files[name])}</Size></Contents>"
        for name in sorted(objects)
    ) + "".join(
        f"<CommonPrefixes><Prefix>{escape(start + folder)}/</Prefix></CommonPrefixes>"
        for folder in sorted(folders)
    )
    return (
        f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><KeyCount>{len(objects) + len(folders)}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
    ).encode()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """An S3 store on this machine, which the settings of the AWS libraries name; it is empty."""
    files: Store = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_", (_S3,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield files
    server.shutdown()
    server.server_close()


_EMULATOR = """
import sys
from gcp_storage_emulator.server import create_server

with create_server("127.0.0.1", 0, in_memory=True, default_bucket="films") as server:
    print(server._api._httpd.server_port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def google_store(films: Path) -> Iterator[None]:
    """The folder of films in an emulator of Google Cloud Storage, as `gs://films/set/...`.

    It is a process of its own, as pyarrow holds the GIL while it waits for an answer.
    """
    with (
        subprocess.Popen(
            [sys.executable, "-c", _EMULATOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert emulator.stdin is not None
        assert emulator.stdout is not None
        address = f"http://127.0.0.1:{int(emulator.stdout.readline())}"
        patch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", address)
        for path in films.rglob("*.png"):
            name = quote(f"set/{path.relative_to(films).as_posix()}", safe="")
            url = f"{address}/upload/storage/v1/b/films/o?uploadType=media&name={name}"
            with urlopen(Request(url, path.read_bytes())):
                pass
        yield
        emulator.stdin.close()
