"""Results of many films as lines of JSON, each as soon as it is there."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ROUTE = "/v1/segmentations?format=ndjson"
Start = Callable[..., httpx.Client]


def form(*paths: Path) -> list[tuple[str, tuple[str, bytes]]]:
    return [("film", (path.name, path.read_bytes())) for path in paths]


def test_each_film_is_a_line_as_in_the_json(client: httpx.Client, films: Path) -> None:
    paths = (films / "a.png", films / "notes.txt", films / "b.png")
    answer = client.post(ROUTE, files=form(*paths))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    expected = client.post("/v1/segmentations", files=form(*paths)).json()["results"]
    assert sorted(line.pop("index") for line in lines) == [0, 1, 2]
    assert sorted(lines, key=lambda line: line["film"]) == sorted(
        expected, key=lambda result: str(result["film"])
    )
    assert [line["status"] for line in lines if line["film"] == "notes.txt"] == ["failed"]


def test_a_film_as_the_body_is_one_line(client: httpx.Client, films: Path) -> None:
    content = (films / "a.png").read_bytes()
    accept = {"Accept": "application/x-ndjson"}
    answer = client.post("/v1/segmentations", content=content, headers=accept)
    assert answer.headers["content-type"] == "application/x-ndjson"
    (line,) = answer.text.splitlines()
    assert json.loads(line) == client.post("/v1/segmentations", content=content).json()
    assert client.post(ROUTE, content=b"no film").status_code == 415


def test_a_result_comes_before_the_others_are_done(
    start: Start, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pleura.apps.serve import service

    segment, second_may_begin = service.segment_upload, threading.Event()

    def wait_for_the_first(content: bytes, *more: Any, name: str, **options: Any) -> Any:
        if name == "b.png":
            assert second_may_begin.wait(30)
        return segment(content, *more, name=name, **options)

    monkeypatch.setattr(service, "segment_upload", wait_for_the_first)
    headers = {"Accept-Encoding": "gzip"}
    paths = (films / "b.png", films / "a.png")
    with start().stream("POST", ROUTE, files=form(*paths), headers=headers) as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines))
        assert (first["index"], first["film"]) == (1, "a.png")
        second_may_begin.set()
        assert json.loads(next(lines))["film"] == "b.png"


def test_films_that_take_too_long_have_that_reason(start: Start, halting: Any, films: Path) -> None:
    client = start(engine=halting, answer_s=0.5)
    answer = client.post(ROUTE, files=form(films / "a.png", films / "b.png"))
    problems = [json.loads(line)["problem"] for line in answer.text.splitlines()]
    assert [problem["type"] for problem in problems] == ["urn:pleura:problem:took-too-long"] * 2
    halting.go.set()


def test_a_client_that_leaves_ends_neither_the_films_nor_the_service(
    start: Start, halting: Any, films: Path
) -> None:
    client = start(engine=halting)
    address = (client.base_url.host, client.base_url.port or 80)
    request = client.build_request("POST", ROUTE, files=form(films / "a.png", films / "b.png"))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(address) as connection:
        connection.sendall(f"POST {ROUTE} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        wait_until(lambda: client.get("/readyz").json()["held"] == 2)
    halting.go.set()
    wait_until(lambda: client.get("/readyz").json()["held"] == 0)
    assert client.post(ROUTE, files=form(films / "a.png")).status_code == 200


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
