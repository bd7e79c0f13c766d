"""The parameter `flip` of the service: results as the command line's `--flip` gives them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

from pleura.core.masks.contours import mask_from_rle
from pleura.runtime.mirror import FLIPPED
from pleura.runtime.open import open_weights

ROUTE = "/v1/segmentations"


@pytest.fixture
def shipped_client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a service with the shipped weights."""
    return start(engine=open_weights())


def masks(response: dict[str, Any], definition: str) -> dict[str, np.ndarray]:
    size = response["height"], response["width"]
    encoded = response["lungs"][definition]["rle"]
    return {name: mask_from_rle(rle["counts"], *size) for name, rle in encoded.items()}


def test_a_mirrored_film_has_the_results_of_the_film(
    shipped_client: httpx.Client, films_root: Path
) -> None:
    source = films_root / "jsrt512" / "images" / "JPCLN001.png"
    file = io.BytesIO()
    with Image.open(source) as film:
        ImageOps.mirror(film).save(file, "PNG")
    ask = {"lungs": "all"}
    upright = shipped_client.post(ROUTE, params=ask, content=source.read_bytes()).json()
    stored = file.getvalue()
    flipped = shipped_client.post(ROUTE, params={**ask, "flip": "true"}, content=stored).json()
    for definition in ("field", "whole"):
        own, other = masks(upright, definition), masks(flipped, definition)
        assert set(own) == {"right", "left", "heart"}
        for name, mask in own.items():
            assert mask.any()
            np.testing.assert_array_equal(other[name], mask[:, ::-1])
        assert flipped["lungs"][definition]["quality"] == upright["lungs"][definition]["quality"]
    assert FLIPPED in flipped["notes"]
    assert flipped["provenance"]["flip"] is True
    assert upright["provenance"]["flip"] is False
    bare = shipped_client.post(ROUTE, content=stored).json()
    doubts = [doubt["code"] for doubt in bare["lungs"]["field"]["quality"]["doubts"]]
    assert "heart_on_right" in doubts


def test_pictures_lie_on_the_film_as_it_was_sent(client: httpx.Client, films: Path) -> None:
    content = (films / "a.png").read_bytes()
    labels = {
        flip: np.asarray(
            Image.open(
                io.BytesIO(
                    client.post(
                        ROUTE, params={"format": "labels", "flip": flip}, content=content
                    ).content
                )
            )
        )
        for flip in ("false", "true")
    }
    # the weights know dark from light, and name lungs by their place: sides are exchanged
    assert np.array_equal(labels["true"] > 0, labels["false"] > 0)
    assert np.array_equal(labels["true"] == 1, labels["false"] == 2)


def test_flip_is_yes_or_no(client: httpx.Client, films: Path) -> None:
    content = (films / "a.png").read_bytes()
    response = client.post(ROUTE, params={"flip": "sideways"}, content=content)
    assert response.status_code == 400
    assert "flip" in response.json()["detail"]
