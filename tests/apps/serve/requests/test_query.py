"""Query parameters that a route does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pleura.runtime.engine import OnnxEngine

ROUTE = "/v1/segmentations"
GET_ROUTES = ("/v1/model", "/v1/example.png", "/healthz", "/readyz", "/metrics", "/openapi.json")


@pytest.fixture(scope="module")
def client(start: Callable[..., httpx.Client], five_weights: Path) -> httpx.Client:
    """A client of a service with both definitions: `lungs=whole` is valid."""
    return start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))


def usage_problem(response: httpx.Response) -> str:
    """The detail of a 400 problem for wrong usage."""
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    details: dict[str, Any] = response.json()
    assert details["type"] == "urn:pleura:problem:usage-error"
    assert details["instance"] == response.url.path
    return str(details["detail"])


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lung=whole", "there is no parameter 'lung'; did you mean 'lungs'?"),
        ("Lungs=whole", "there is no parameter 'Lungs'; did you mean 'lungs'?"),
        ("LUNGS=whole", "there is no parameter 'LUNGS'; did you mean 'lungs'?"),
        ("lungs[]=whole", "did you mean 'lungs'?"),
        ("lungs=whole&fromat=mask", "there is no parameter 'fromat'; did you mean 'format'?"),
        ("included=row", "did you mean 'include'?"),
        ("forced", "did you mean 'force'?"),
        ("definition=whole", "known are lungs, format, include, files, flip, force, name"),
        ("=whole", "there is no parameter ''"),
        ("lungs=field&lungs=whole", "the parameter lungs is given 2 times; give it once"),
        ("lungs=whole&lungs=whole", "the parameter lungs is given 2 times; give it once"),
        ("force=true&force=false&force=true", "given 3 times"),
        ("format=csv&format=json", "the parameter format is given 2 times"),
        ("lungs=", "the parameter lungs is empty; give it a value, or leave it out"),
        ("lungs", "the parameter lungs is empty"),
        ("format=", "the parameter format is empty"),
        ("force=", "the parameter force is empty"),
        ("include=", "the parameter include is empty"),
        ("include=row&include=", "the parameter include is empty"),
        ("include=row,rle", "include"),
    ],
)
def test_a_wrong_parameter_is_400(client: httpx.Client, films: Path, query: str, text: str) -> None:
    response = client.post(f"{ROUTE}?{query}", content=(films / "a.png").read_bytes())
    assert text in usage_problem(response)


@pytest.mark.parametrize("query", ["", "?", "?&", "?lungs=whole", "?include=row&include=rle"])
def test_a_right_parameter_is_200(client: httpx.Client, films: Path, query: str) -> None:
    assert client.post(ROUTE + query, content=(films / "a.png").read_bytes()).status_code == 200


@pytest.mark.parametrize("route", GET_ROUTES)
def test_a_route_without_parameters_refuses_any(client: httpx.Client, route: str) -> None:
    assert "this address takes none" in usage_problem(client.get(route, params={"lungs": "whole"}))
    assert client.get(route).status_code == 200


def test_the_page_takes_any_parameter(client: httpx.Client) -> None:
    """The page is not part of the interface, and links to it may have parameters."""
    assert client.get("/?from=wiki").status_code == 200


@pytest.mark.parametrize("field", ["lungs", "lung", "format"])
def test_a_parameter_in_the_form_is_400(client: httpx.Client, films: Path, field: str) -> None:
    files = {"film": ("a.png", (films / "a.png").read_bytes())}
    details = usage_problem(client.post(ROUTE, files=files, data={field: "whole"}))
    assert details.startswith(
        f"the form's field '{field}' is no file; give parameters in the address"
    )
    assert client.post(f"{ROUTE}?lungs=whole", files=files).status_code == 200


def test_a_large_upload_with_a_wrong_parameter_gets_the_answer(client: httpx.Client) -> None:
    """The rest of the body is read first, also where the connection closes after the answer."""
    response = client.post(
        f"{ROUTE}?lung=whole", content=bytes(20_000_000), headers={"Connection": "close"}
    )
    assert "did you mean 'lungs'?" in usage_problem(response)


def test_the_openapi_description_has_these_problems(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    answers = [answer["responses"] for path in described.values() for answer in path.values()]
    assert len(answers) == 8
    for responses in answers:
        assert {"400", "403", "421"} <= set(responses)
        assert "unknown" in responses["400"]["description"]
        assert "application/problem+json" in responses["400"]["content"]
