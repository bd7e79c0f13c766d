"""Masks that were edited by hand, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pleura.io.outputs import run_lengths
from pleura.runtime.engine import OnnxEngine

ROUTE = "/v1/corrections"


def masks_of(client: httpx.Client, film: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The masks of a film as run lengths, and the result that they are from."""
    lungs = client.post("/v1/segmentations", content=film).json()["lungs"]["field"]
    return lungs["rle"], lungs


def send(
    client: httpx.Client, film: bytes, masks: dict[str, Any] | bytes, query: str = ""
) -> httpx.Response:
    content = masks if isinstance(masks, bytes) else json.dumps(masks).encode()
    return client.post(
        f"{ROUTE}{query}", files={"film": ("a.png", film), "masks": ("m.json", content)}
    )


def test_measurements_are_those_of_the_result(client: httpx.Client, films: Path) -> None:
    masks, lungs = masks_of(client, (films / "b.png").read_bytes())
    answer = client.post("/v1/measurements", json=masks).json()
    assert answer == {"measurements": lungs["measurements"], "widths": lungs["widths"]}


def test_a_spacing_gives_areas_in_cm2(client: httpx.Client) -> None:
    """A lung of 2 x 1 px of 10 x 20 mm has 4 cm2."""
    right = {"size": [2, 2], "counts": [0, 2, 2]}
    left = {"size": [2, 2], "counts": [2, 2]}
    spacing = {"row_mm": 10, "col_mm": 20, "source": "user"}
    masks = {"right": right, "left": left, "heart": None, "spacing": spacing}
    measured = client.post("/v1/measurements", json=masks).json()["measurements"]
    assert (measured["right_area_cm2"], measured["spacing_source"]) == (4, "user")
    del spacing["source"]
    assert client.post("/v1/measurements", json=masks).json()["measurements"] == measured


@pytest.mark.parametrize(
    "spacing", [0.7, [0.7, 0.7], {"row_mm": 0.7}, {"row_mm": "x", "col_mm": 1}]
)
def test_a_wrong_spacing_is_400_and_the_answer_shows_a_right_one(
    client: httpx.Client, spacing: Any
) -> None:
    answer = client.post(
        "/v1/measurements", json={"right": PIXEL, "left": PIXEL, "spacing": spacing}
    )
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith('the spacing cannot be read; send it as {"row_mm"')


def test_a_correction_says_who_edited_it(client: httpx.Client, films: Path) -> None:
    film = (films / "b.png").read_bytes()
    masks, _ = masks_of(client, film)
    result = send(client, film, masks, "?editor=A.%20Reader&format=json").json()
    assert result["provenance"]["edited"].startswith("edited by hand by A. Reader at ")
    assert result["lungs"]["field"]["notes"] == [result["provenance"]["edited"]]
    assert result["lungs"]["field"]["rle"] == masks


PIXEL = {"size": [1, 1], "counts": [1]}


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        (b"{", "the masks cannot be read"),
        (b"[]", "the masks cannot be read; send JSON"),
        ({"right": {"size": 4, "counts": [1]}, "left": PIXEL}, "the masks cannot be read; send"),
        ({"right": PIXEL}, "the masks need both lungs"),
        ({"right": PIXEL, "left": {"size": [1, 1], "counts": [2]}}, "run lengths add up to 2"),
        ({"right": PIXEL, "left": {"size": [1, 2], "counts": [2]}}, "the masks differ in size"),
        (
            {name: {"size": [1, 1], "counts": [0, 1]} for name in ("right", "left")},
            "the right and the left lung overlap",
        ),
        ({"right": {"size": [10**6, 10**6], "counts": []}, "left": PIXEL}, "expected 1 to"),
        ({"right": PIXEL, "left": PIXEL}, "the masks have 1 x 1 pixels, but the film"),
    ],
)
def test_wrong_masks_are_400(client: httpx.Client, films: Path, masks: Any, reason: str) -> None:
    answer = send(client, (films / "b.png").read_bytes(), masks)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_a_correction_needs_two_files(client: httpx.Client, films: Path) -> None:
    answer = client.post(ROUTE, content=(films / "b.png").read_bytes())
    assert answer.status_code == 400
    assert "a form of two files" in answer.json()["detail"]


def rectangle(size: tuple[int, int], rows: slice, columns: slice) -> dict[str, Any]:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return run_lengths(mask)


def test_an_edited_heart_has_a_ratio_and_no_verdict_of_the_network(
    start: Callable[..., httpx.Client], refusing_weights: Path, films: Path
) -> None:
    """The heart spans 20 of the chest's 60 columns. By `whole` nothing was edited."""
    client = start(engine=OnnxEngine(refusing_weights.read_bytes(), threads=1))
    film = (films / "a.png").read_bytes()
    first = client.post("/v1/segmentations", content=film, params={"lungs": "all"}).json()
    assert first["lungs"]["field"]["quality"]["heart"]["verdict"] == "refused"
    size = first["height"], first["width"]
    masks = {
        "right": rectangle(size, slice(5, 25), slice(2, 20)),
        "left": rectangle(size, slice(5, 25), slice(42, 62)),
        "heart": rectangle(size, slice(12, 24), slice(22, 42)),
    }
    lungs = send(client, film, masks, "?lungs=all").json()["lungs"]
    assert lungs["field"]["measurements"]["cardiothoracic_ratio"] == pytest.approx(1 / 3)
    assert lungs["field"]["widths"]["heart"] == {"row": 18, "left": 22, "right": 42}
    assert lungs["field"]["quality"]["heart"] is None
    assert lungs["whole"] == first["lungs"]["whole"]
