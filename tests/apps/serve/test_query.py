"""Parameters that an address does not take, everywhere in the HTTP interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pleura.runtime.engine import OnnxEngine

WHERE = "/v1/segmentations"
READ = ("/v1/model", "/v1/example.png", "/healthz", "/readyz", "/metrics", "/openapi.json")


@pytest.fixture(scope="module")
def client(start: Callable[..., httpx.Client], five_weights: Path) -> httpx.Client:
    """With both definitions, so that `lungs=whole` is right and `lung=whole` is not."""
    return start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))


def refused(told: httpx.Response) -> str:
    """What a problem of a wrong parameter says."""
    assert told.status_code == 400, told.text
    assert told.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = told.json()
    assert said["type"] == "urn:pleura:problem:usage-error"
    assert said["instance"] == told.url.path
    return str(said["detail"])


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("lung=whole", "there is no parameter 'lung'; did you mean 'lungs'?"),
        ("Lungs=whole", "there is no parameter 'Lungs'; did you mean 'lungs'?"),
        ("LUNGS=whole", "there is no parameter 'LUNGS'; did you mean 'lungs'?"),
        ("lungs[]=whole", "did you mean 'lungs'?"),
        ("lungs=whole&fromat=mask", "there is no parameter 'fromat'; did you mean 'format'?"),
        ("included=row", "did you mean 'include'?"),
        ("forced", "did you mean 'force'?"),
        ("definition=whole", "known are lungs, format, include, force"),
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
def test_a_parameter_that_is_not_taken_is_400(
    client: httpx.Client, films: Path, query: str, says: str
) -> None:
    told = client.post(f"{WHERE}?{query}", content=(films / "a.png").read_bytes())
    assert says in refused(told)


@pytest.mark.parametrize("query", ["", "?", "?&", "?lungs=whole", "?include=row&include=rle"])
def test_a_parameter_that_is_taken_is_not(client: httpx.Client, films: Path, query: str) -> None:
    assert client.post(WHERE + query, content=(films / "a.png").read_bytes()).status_code == 200


@pytest.mark.parametrize("where", READ)
def test_addresses_without_parameters_take_none(client: httpx.Client, where: str) -> None:
    assert "this address takes none" in refused(client.get(where, params={"lungs": "whole"}))
    assert client.get(where).status_code == 200


def test_the_page_may_be_asked_for_with_any(client: httpx.Client) -> None:
    """It is no part of the interface, and links to it carry what they carry."""
    assert client.get("/?from=wiki").status_code == 200


@pytest.mark.parametrize("field", ["lungs", "lung", "format"])
def test_a_parameter_in_the_form_is_not_left_aside_either(
    client: httpx.Client, films: Path, field: str
) -> None:
    files = {"film": ("a.png", (films / "a.png").read_bytes())}
    said = refused(client.post(WHERE, files=files, data={field: "whole"}))
    assert said.startswith(f"the form's field '{field}' is no file; give parameters in the address")
    assert client.post(f"{WHERE}?lungs=whole", files=files).status_code == 200


def test_a_large_upload_hears_what_is_wrong_with_its_parameters(client: httpx.Client) -> None:
    """Also where the connection closes with the answer: the rest of the body is read first."""
    told = client.post(
        f"{WHERE}?lung=whole", content=bytes(20_000_000), headers={"Connection": "close"}
    )
    assert "did you mean 'lungs'?" in refused(told)


def test_the_description_says_so(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    answers = [answer["responses"] for path in described.values() for answer in path.values()]
    assert len(answers) == 6
    for responses in answers:
        assert {"400", "403", "421"} <= set(responses)
        assert "unknown" in responses["400"]["description"]
        assert "application/problem+json" in responses["400"]["content"]
