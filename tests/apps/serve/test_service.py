"""The service under strangers: limits, queue, keys, broken clients; it answers and lives on."""

from __future__ import annotations

import io
import os
import socket
import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from pleura.apps.cli.exit_codes import answer
from pleura.apps.serve.command import check_who
from pleura.apps.serve.limits import Line
from pleura.apps.serve.problems import Busy
from pleura.core.errors import UnreadableFilm, UnsuitableFilm, UsageError

WHERE = "/v1/segmentations"


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 10,000 x 10,000 pixels."""
    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def problem(told: httpx.Response) -> dict[str, Any]:
    assert told.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = told.json()
    assert said["status"] == told.status_code
    assert said["instance"] == told.url.path
    return said


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 415, "empty"),
        (b"%PDF-1.7", 415, "PDF"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 415, "PNG"),
        (bomb(), 422, "the limit is 1:"),
        (bytes(1_000_001), 413, "1 MB"),
    ],
    ids=["nothing", "pdf", "torn", "bomb", "large"],
)
def test_what_is_no_film_is_a_problem(
    client: httpx.Client, content: bytes, status: int, says: str
) -> None:
    said = problem(client.post(WHERE, content=content))
    assert said["status"] == status
    assert says in said["detail"]


def test_problems_come_from_the_table_of_the_exit_codes(client: httpx.Client) -> None:
    flat = io.BytesIO()
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(flat, "PNG")
    cases = [(UnreadableFilm, b"GIF89a"), (UnsuitableFilm, flat.getvalue())]
    for kind, body in cases:
        said = problem(client.post(WHERE, content=body))
        assert said["status"] == answer(kind("x")).http_status
        assert said["type"] == f"urn:pleura:problem:{said['title'].lower().replace(' ', '-')}"


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nnonsense"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="film"\r\n\r\ntext\r\n--b--\r\n',
        ),
    ],
)
def test_a_form_without_a_film_is_400(
    client: httpx.Client, headers: dict[str, str], content: bytes
) -> None:
    assert problem(client.post(WHERE, content=content, headers=headers))["status"] == 400


def test_too_many_films_are_413(client: httpx.Client) -> None:
    said = problem(client.post(WHERE, files=[("film", ("x", b"x"))] * 5))
    assert (said["status"], "4 films" in said["detail"]) == (413, True)


def test_wrong_parameters_and_addresses_are_problems(client: httpx.Client, films: Path) -> None:
    body = (films / "a.png").read_bytes()
    for told, status in (
        (client.post(WHERE, params={"lungs": "both"}, content=body), 400),
        (client.post(WHERE, params={"lungs": "whole"}, content=body), 400),  # not these weights
        (client.post(WHERE, params={"format": "exe"}, content=body), 400),
        (client.post(WHERE, params={"format": "mask"}, files=[("f", ("x", body))] * 2), 400),
        (client.get(WHERE), 405),
        (client.get("/page/..%2f..%2fcommand.py"), 404),
        (client.get("/etc/passwd"), 404),
    ):
        assert problem(told)["status"] == status


def test_a_name_like_a_path_is_only_given_back(client: httpx.Client, films: Path) -> None:
    files = [("film", ("../../etc/passwd", (films / "a.png").read_bytes()))]
    told = client.post(WHERE, files=files, params={"include": "row"}).json()["results"][0]
    assert (told["status"], told["lungs"]["field"]["row"]["film"]) == ("done", "passwd")


def test_every_answer_forbids_what_is_from_elsewhere(client: httpx.Client) -> None:
    for told in (client.get("/"), client.get("/nowhere"), client.post(WHERE, content=b"")):
        policy = told.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert told.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in told.headers


def test_the_model_tells_its_card_and_the_limits(client: httpx.Client) -> None:
    said = client.get("/v1/model").json()
    assert (said["card"]["name"], said["definitions"]) == ("tiny", ["field"])
    assert said["limits"]["request_films"] == 4
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {
        "status": "ready", "held": 0, "places": 64, "stuck": 0,
    }  # fmt: skip


def test_openapi_tells_every_address(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        WHERE, "/v1/model", "/v1/example.png", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    answers = paths[WHERE]["post"]["responses"]
    assert {"200", "400", "401", "408", "413", "415", "422", "503"} <= set(answers)


def test_a_key_is_needed_where_there_is_one(start: Callable[..., httpx.Client]) -> None:
    client = start(key="s3cret")
    for headers in ({}, {"Authorization": "Bearer s3cre"}, {"X-API-Key": "ß"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        told = client.post(WHERE, content=b"x" * 100_000, headers=encoded)
        assert problem(told)["status"] == 401
        assert told.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": "Bearer s3cret"}, {"X-API-Key": "s3cret"}):
        assert problem(client.post(WHERE, content=b"x", headers=headers))["status"] == 415
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "pacs.example"])
def test_binding_wider_needs_a_key_or_a_word(host: str) -> None:
    with pytest.raises(UsageError, match="PLEURA_API_KEY"):
        check_who(host, None, no_key=False)
    check_who(host, "secret", no_key=False)
    check_who(host, None, no_key=True)


def test_the_command_refuses_to_let_everybody_in_by_accident(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLEURA_API_KEY", raising=False)
    ended = run("serve", "--host", "0.0.0.0", "--port", 0)
    assert ended.code == 2
    assert "can be reached from other machines" in ended.err
    monkeypatch.setenv("PLEURA_API_KEY", "")  # set, but to nothing
    assert run("serve", "--host", "0.0.0.0", "--port", 0).code == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_binding_here_needs_none(host: str) -> None:
    check_who(host, None, no_key=False)


def test_a_full_queue_answers_only_200_and_503(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, queue_films=3, request_films=3)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{client.base_url}{WHERE}", content=body, timeout=60)

    with ThreadPoolExecutor(9) as clients:
        asked = [clients.submit(ask, each) for each in range(9)]
        deadline = time.monotonic() + 30
        while sum(each.done() for each in asked) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)  # six are refused while three wait for the engine
        assert client.get("/readyz").status_code == 503
        halting.go.set()
        told = [each.result() for each in asked]
    assert sorted(each.status_code for each in told) == [200] * 3 + [503] * 6
    for each in told:
        if each.status_code == 503:
            assert 1 <= int(each.headers["retry-after"]) <= 60
            assert problem(each)["type"] == "urn:pleura:problem:busy"
    assert client.get("/readyz").status_code == 200


def test_films_that_wait_share_a_call_of_the_network(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    """While the engine halts over the first film, the three others come to wait for it."""
    client = start(engine=halting)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> bytes:
        where = f"{client.base_url}{WHERE}?format=mask"
        return httpx.post(where, content=body, timeout=60).content

    for patience_s in (0.1, 0.3, 1, 3):  # a busy machine needs longer to decode three films
        halting.go.clear()
        with ThreadPoolExecutor(4) as clients:
            asked = [clients.submit(ask, each) for each in range(4)]
            while client.get("/readyz").json()["held"] < 4:
                time.sleep(0.01)
            time.sleep(patience_s)
            halting.go.set()
            assert len({each.result() for each in asked}) == 1
        if halting.batches[-1] > 1:
            break
    assert halting.batches[-1] > 1
    assert sum(halting.batches) % 4 == 0


def test_more_films_than_places_left_begin_nothing() -> None:
    line = Line(2, workers=1)
    with pytest.raises(Busy):
        line.submit([lambda: 1] * 3)
    assert line.held == 0
    line.close()


def test_no_answer_in_time_is_504_and_the_place_is_held_until_the_end(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, answer_s=0.3)
    told = client.post(WHERE, content=(films / "a.png").read_bytes())
    assert problem(told)["status"] == 504
    assert client.get("/readyz").json()["held"] == 1
    halting.go.set()
    deadline = time.monotonic() + 30
    while client.get("/readyz").json()["held"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client.get("/readyz").json()["held"] == 0


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=20)


def test_a_slow_client_is_408(client: httpx.Client) -> None:
    with connected(client) as slow:
        slow.sendall(
            b"POST /v1/segmentations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\nabc"
        )
        slow.settimeout(20)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_an_aborted_upload_leaves_nothing(client: httpx.Client, films: Path) -> None:
    for _ in range(20):
        with connected(client) as gone:
            gone.sendall(b"POST /v1/segmentations HTTP/1.1\r\nHost: localhost\r\n")
            gone.sendall(b"Content-Length: 9999\r\n\r\nab")
    told = client.post(WHERE, content=(films / "a.png").read_bytes())
    assert told.status_code == 200
    assert client.get("/readyz").json()["held"] == 0


def test_huge_headers_are_refused(client: httpx.Client) -> None:
    with connected(client) as rude:
        rude.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n"
        )
        assert rude.recv(100).startswith(b"HTTP/1.1 4")
    assert client.get("/healthz").status_code == 200


def test_a_defect_is_500_and_tells_and_logs_nothing_of_the_film(
    start: Callable[..., httpx.Client],
    halting: Any,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = start(engine=halting)

    patient = "Doe^" + "Jane"

    def broken(batch: object) -> object:
        raise ZeroDivisionError(patient)

    monkeypatch.setattr(halting, "predict", broken)
    said = problem(client.post(WHERE, content=(films / "a.png").read_bytes()))
    assert said["status"] == 500
    assert patient not in str(said) + caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert client.get("/metrics").text.count('outcome="error"} 1.0') == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_sigterm_ends_after_what_was_accepted(serve: Callable[..., Any], tmp_path: Path) -> None:
    """Two are worked on and two wait when the signal comes; all four are answered."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (1500, 1300), dtype=np.uint8)
    grey[400:1000, 200:500] = grey[400:1000, 800:1100] = 10
    Image.fromarray(grey).save(tmp_path / "large.png", compress_level=1)
    body = (tmp_path / "large.png").read_bytes()
    served = serve()

    def ask(_: int) -> int:
        return httpx.post(f"{served.address}{WHERE}", content=body, timeout=60).status_code

    with ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(ask, each) for each in range(4)]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(httpx.ConnectError):
                if httpx.get(f"{served.address}/readyz", timeout=30).json()["held"] == 4:
                    break
            time.sleep(0.01)
        code, said = served.ended()
        assert [each.result() for each in asked] == [200] * 4, said
    assert code == 0, said
    assert "Traceback" not in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.address}/healthz")
