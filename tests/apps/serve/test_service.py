"""The service with wrong requests: limits, queue, keys and broken clients."""

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

from pleura.apps.serve.command import check_access
from pleura.apps.serve.errors import Busy
from pleura.apps.serve.limits.film_queue import FilmQueue
from pleura.core.errors import UnreadableFilm, UnsuitableFilm, UsageError

ROUTE = "/v1/segmentations"


def bomb() -> bytes:
    """A PNG of a few hundred bytes with a header of 10,000 x 10,000 pixels."""
    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    details: dict[str, Any] = response.json()
    assert details["status"] == response.status_code
    assert details["instance"] == response.url.path
    return details


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"", 415, "empty"),
        (b"%PDF-1.7", 415, "PDF"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 415, "PNG"),
        (bomb(), 422, "the limit is 1:"),
        (bytes(1_000_001), 413, "1 MB"),
    ],
    ids=["nothing", "pdf", "torn", "bomb", "large"],
)
def test_a_body_that_is_no_film_is_a_problem(
    client: httpx.Client, content: bytes, status: int, text: str
) -> None:
    details = problem(client.post(ROUTE, content=content))
    assert details["status"] == status
    assert text in details["detail"]


def test_problems_have_the_status_of_the_error_class(client: httpx.Client) -> None:
    flat = io.BytesIO()
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(flat, "PNG")
    cases = [(UnreadableFilm, b"GIF89a"), (UnsuitableFilm, flat.getvalue())]
    for kind, body in cases:
        details = problem(client.post(ROUTE, content=body))
        assert details["status"] == kind.http_status
        assert details["type"] == f"urn:pleura:problem:{details['title'].lower().replace(' ', '-')}"


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
    assert problem(client.post(ROUTE, content=content, headers=headers))["status"] == 400


def test_too_many_films_are_413(client: httpx.Client) -> None:
    details = problem(client.post(ROUTE, files=[("film", ("x", b"x"))] * 5))
    assert (details["status"], "4 films" in details["detail"]) == (413, True)


def test_wrong_parameters_and_addresses_are_problems(client: httpx.Client, films: Path) -> None:
    body = (films / "a.png").read_bytes()
    for response, status in (
        (client.post(ROUTE, params={"lungs": "both"}, content=body), 400),
        (
            client.post(ROUTE, params={"lungs": "whole"}, content=body),
            400,
        ),  # the weights give no `whole`
        (client.post(ROUTE, params={"format": "exe"}, content=body), 400),
        (client.post(ROUTE, params={"format": "mask"}, files=[("f", ("x", body))] * 2), 400),
        (client.get(ROUTE), 405),
        (client.get("/page/..%2f..%2fcommand.py"), 404),
        (client.get("/etc/passwd"), 404),
    ):
        assert problem(response)["status"] == status


def test_a_file_name_like_a_path_is_only_repeated(client: httpx.Client, films: Path) -> None:
    files = [("film", ("../../etc/passwd", (films / "a.png").read_bytes()))]
    response = client.post(ROUTE, files=files, params={"include": "row"}).json()["results"][0]
    assert (response["status"], response["lungs"]["field"]["row"]["film"]) == ("done", "passwd")


def test_every_response_forbids_content_of_other_sites(client: httpx.Client) -> None:
    for response in (client.get("/"), client.get("/nowhere"), client.post(ROUTE, content=b"")):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in response.headers


def test_the_model_route_has_the_card_and_the_limits(client: httpx.Client) -> None:
    details = client.get("/v1/model").json()
    assert (details["card"]["name"], details["definitions"]) == ("tiny", ["field"])
    assert details["limits"]["request_films"] == 4
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {
        "status": "ready", "held": 0, "places": 64, "stuck": 0,
    }  # fmt: skip


def test_openapi_describes_every_route(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        ROUTE, "/v1/corrections", "/v1/measurements", "/v1/model", "/v1/example.png",
        "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    answers = paths[ROUTE]["post"]["responses"]
    assert {"200", "400", "401", "408", "413", "415", "422", "503"} <= set(answers)


def test_a_service_with_a_key_refuses_others(start: Callable[..., httpx.Client]) -> None:
    client = start(key="s3cret")
    for headers in ({}, {"Authorization": "Bearer s3cre"}, {"X-API-Key": "ß"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        response = client.post(ROUTE, content=b"x" * 100_000, headers=encoded)
        assert problem(response)["status"] == 401
        assert response.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": "Bearer s3cret"}, {"X-API-Key": "s3cret"}):
        assert problem(client.post(ROUTE, content=b"x", headers=headers))["status"] == 415
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "pacs.example"])
def test_binding_to_other_machines_needs_a_key_or_no_key(host: str) -> None:
    with pytest.raises(UsageError, match="PLEURA_API_KEY"):
        check_access(host, None, no_key=False)
    check_access(host, "secret", no_key=False)
    check_access(host, None, no_key=True)


def test_the_command_refuses_other_machines_without_a_key(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLEURA_API_KEY", raising=False)
    ended = run("serve", "--host", "0.0.0.0", "--port", 0)
    assert ended.code == 2
    assert "can be reached from other machines" in ended.err
    monkeypatch.setenv("PLEURA_API_KEY", "")  # set, but empty
    assert run("serve", "--host", "0.0.0.0", "--port", 0).code == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_binding_to_this_machine_needs_no_key(host: str) -> None:
    check_access(host, None, no_key=False)


def test_a_full_queue_answers_only_200_and_503(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, queue_films=3, request_films=3)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{client.base_url}{ROUTE}", content=body, timeout=60)

    with ThreadPoolExecutor(9) as clients:
        pending = [clients.submit(ask, number) for number in range(9)]
        deadline = time.monotonic() + 30
        while sum(future.done() for future in pending) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)  # six are refused while three wait for the engine
        assert client.get("/readyz").status_code == 503
        halting.go.set()
        responses = [future.result() for future in pending]
    assert sorted(response.status_code for response in responses) == [200] * 3 + [503] * 6
    for response in responses:
        if response.status_code == 503:
            assert 1 <= int(response.headers["retry-after"]) <= 60
            assert problem(response)["type"] == "urn:pleura:problem:busy"
    assert client.get("/readyz").status_code == 200


def test_films_that_wait_share_a_call_of_the_network(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    """The engine pauses in the first film until the three others wait for it."""
    client = start(engine=halting)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> bytes:
        url = f"{client.base_url}{ROUTE}?format=mask"
        return httpx.post(url, content=body, timeout=60).content

    for patience_s in (0.1, 0.3, 1, 3):  # a busy machine needs longer to decode three films
        halting.go.clear()
        with ThreadPoolExecutor(4) as clients:
            pending = [clients.submit(ask, number) for number in range(4)]
            while client.get("/readyz").json()["held"] < 4:
                time.sleep(0.01)
            time.sleep(patience_s)
            halting.go.set()
            assert len({future.result() for future in pending}) == 1
        if halting.batches[-1] > 1:
            break
    assert halting.batches[-1] > 1
    assert sum(halting.batches) % 4 == 0


def test_a_queue_accepts_all_films_of_a_request_or_none() -> None:
    queue = FilmQueue(2, workers=1)
    with pytest.raises(Busy):
        queue.submit([lambda: 1] * 3)
    assert queue.held == 0
    queue.close()


def test_no_answer_in_time_is_504_and_the_place_is_held_until_the_end(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, answer_s=0.3)
    response = client.post(ROUTE, content=(films / "a.png").read_bytes())
    assert problem(response)["status"] == 504
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


def test_an_aborted_upload_frees_its_memory(client: httpx.Client, films: Path) -> None:
    for _ in range(20):
        with connected(client) as gone:
            gone.sendall(b"POST /v1/segmentations HTTP/1.1\r\nHost: localhost\r\n")
            gone.sendall(b"Content-Length: 9999\r\n\r\nab")
    response = client.post(ROUTE, content=(films / "a.png").read_bytes())
    assert response.status_code == 200
    assert client.get("/readyz").json()["held"] == 0


def test_huge_headers_are_refused(client: httpx.Client) -> None:
    with connected(client) as rude:
        rude.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n"
        )
        assert rude.recv(100).startswith(b"HTTP/1.1 4")
    assert client.get("/healthz").status_code == 200


def test_a_defect_is_500_and_neither_answer_nor_log_quotes_the_film(
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
    details = problem(client.post(ROUTE, content=(films / "a.png").read_bytes()))
    assert details["status"] == 500
    assert patient not in str(details) + caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert client.get("/metrics").text.count('outcome="error"} 1.0') == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_sigterm_ends_the_service_after_the_accepted_films(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    """Two films are segmented and two wait when the signal comes; all four are answered."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (1500, 1300), dtype=np.uint8)
    grey[400:1000, 200:500] = grey[400:1000, 800:1100] = 10
    Image.fromarray(grey).save(tmp_path / "large.png", compress_level=1)
    body = (tmp_path / "large.png").read_bytes()
    served = serve()

    def ask(_: int) -> int:
        return httpx.post(f"{served.address}{ROUTE}", content=body, timeout=60).status_code

    with ThreadPoolExecutor(4) as clients:
        pending = [clients.submit(ask, number) for number in range(4)]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(httpx.ConnectError):
                if httpx.get(f"{served.address}/readyz", timeout=30).json()["held"] == 4:
                    break
            time.sleep(0.01)
        code, stderr = served.stop()
        assert [future.result() for future in pending] == [200] * 4, stderr
    assert code == 0, stderr
    assert "Traceback" not in stderr
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.address}/healthz")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_that_comes_while_the_service_starts_is_not_lost(
    serve: Callable[..., Any],
) -> None:
    """The service says where it listens before uvicorn handles signals."""
    code, stderr = serve().stop()
    assert (code, stderr) == (0, "pleura: ended; every film that was accepted has its answer\n")
