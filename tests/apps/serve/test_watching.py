"""Request ids, the log of requests, metrics, compression, and what follows the key."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from pleura.apps.serve.request_log import logging_requests

ROUTE = "/v1/segmentations"
Start = Callable[..., httpx.Client]


def test_every_answer_has_a_request_id(client: httpx.Client) -> None:
    first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    given = client.get("/healthz", headers={"X-Request-ID": "ward-7.42"})
    assert given.headers["x-request-id"] == "ward-7.42"
    for wrong in ("a b", "x" * 65, '"', "<script>"):
        answer = client.get("/healthz", headers={"X-Request-ID": wrong})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_problem_names_its_request(client: httpx.Client) -> None:
    for answer in (
        client.post(ROUTE, content=b"no film", headers={"X-Request-ID": "r1"}),
        client.get("/nowhere", headers={"X-Request-ID": "r1"}),
        client.get("/healthz", headers={"X-Request-ID": "r1", "Host": "evil.example"}),
    ):
        assert answer.json()["request_id"] == answer.headers["x-request-id"] == "r1"


def test_requests_are_logged_as_json_without_the_film(client: httpx.Client, films: Path) -> None:
    log = io.StringIO()
    with logging_requests(log):
        upload = {"film": ("Smith^Anna.png", (films / "a.png").read_bytes())}
        client.post(f"{ROUTE}?lungs=field", files=upload, headers={"X-Request-ID": "r2"})
        client.get("/page/app.js?x=Smith")
        client.get("/Smith")
    first, page, nowhere = map(json.loads, log.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first.pop("seconds") > 0
    assert first == {
        "level": "info", "event": "request", "request_id": "r2",
        "method": "POST", "route": ROUTE, "status": 200,
    }  # fmt: skip
    assert (page["route"], nowhere["route"], nowhere["status"]) == ("/page", "none", 404)
    assert "Smith" not in log.getvalue()


def test_a_defect_is_logged_with_its_request(
    start: Start, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = "Smith^Anna"

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(patient)

    monkeypatch.setattr("pleura.apps.serve.service.segment_upload", fail)
    log = io.StringIO()
    with logging_requests(log):
        content = (films / "a.png").read_bytes()
        start().post(ROUTE, content=content, headers={"X-Request-ID": "r3"})
    defect, request = map(json.loads, log.getvalue().splitlines())
    assert defect["level"] == "error"
    assert "ZeroDivisionError" in defect["event"]
    assert defect["request_id"] == request["request_id"] == "r3"
    assert "Smith" not in log.getvalue()


def test_the_option_log_writes_to_stderr(serve: Callable[..., Any]) -> None:
    server = serve("--log")
    httpx.get(f"{server.address}/healthz", headers={"X-Request-ID": "r4"})
    _, text = server.stop()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [(line["request_id"], line["route"]) for line in lines] == [("r4", "/healthz")]


def test_metrics_have_routes_versions_and_the_process(start: Start) -> None:
    client = start()
    client.get("/healthz")
    client.get("/nowhere")
    client.get("/page/app.js")
    text = client.get("/metrics").text
    for route, status in (("/healthz", 200), ("none", 404), ("/page", 200)):
        labels = f'method="GET",route="{route}",status="{status}"'
        assert f"pleura_requests_total{{{labels}}} 1.0" in text
    assert re.search(r'^pleura_build_info\{engine=".+",version=".+",weights="tiny"', text, re.M)
    for name in ("process_resident_memory_bytes", "python_info", "pleura_upload_held_bytes"):
        assert re.search(rf"^{name}\b", text, re.M), name


@pytest.mark.parametrize("route", ["/v1/model", "/metrics"])
def test_model_and_metrics_follow_the_key(start: Start, route: str) -> None:
    client = start(key="secret")
    refused = client.get(route)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": "Bearer secret"}, {"X-API-Key": "secret"}):
        assert client.get(route, headers=headers).status_code == 200
    assert client.get(route, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("route", ["/healthz", "/readyz"])
def test_a_probe_may_ask_for_the_headers_alone(client: httpx.Client, route: str) -> None:
    answer = client.head(route)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "head" not in client.get("/openapi.json").json()["paths"][route]


def test_the_description_has_the_key_and_typed_answers(start: Start, client: httpx.Client) -> None:
    described = start(key="secret").get("/openapi.json").json()
    schemes = described["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["header"] | {"description": ""} == {
        "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "",
    }  # fmt: skip
    keyed = {
        path for path, operations in described["paths"].items()
        for operation in operations.values() if operation.get("security")
    }  # fmt: skip
    assert keyed == {ROUTE, "/v1/corrections", "/v1/measurements", "/v1/model", "/metrics"}
    open_paths = client.get("/openapi.json").json()["paths"]
    assert not any("security" in method for path in open_paths.values() for method in path.values())


@pytest.mark.parametrize("route", ["/v1/model", ROUTE])
def test_answers_keep_to_the_schema(client: httpx.Client, films: Path, route: str) -> None:
    described = client.get("/openapi.json").json()["paths"][route]
    if route == ROUTE:
        answer = client.post(route, content=(films / "a.png").read_bytes())
        operation = described["post"]
    else:
        answer, operation = client.get(route), described["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), schema)
    schema = json.loads(json.dumps(schema).replace('"right_area_px"', '"right_area_mm"'))
    if route == ROUTE:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(answer.json(), schema)


def test_text_is_compressed_for_clients_that_accept_it(client: httpx.Client, films: Path) -> None:
    content = (films / "a.png").read_bytes()
    gzipped = {"Accept-Encoding": "gzip"}
    with client.stream("POST", ROUTE, content=content, headers=gzipped) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["vary"]
        packed = b"".join(answer.iter_raw())
    plain = client.post(ROUTE, content=content, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert json.loads(gzip.decompress(packed)) == plain.json()
    assert len(packed) < len(plain.content)
    for query, accept in (("", "image/png"), ("?format=mask", "*/*"), ("?include=mask", "*/*")):
        headers = {**gzipped, "Accept": accept}
        picture = client.post(ROUTE + query, content=content, headers=headers)
        assert "content-encoding" not in picture.headers
    assert client.get("/page/app.js", headers=gzipped).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/healthz", headers=gzipped).headers
