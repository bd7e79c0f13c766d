"""The verdict on the heart over HTTP: in JSON, and in the headers of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from pleura.core.quality.verdict import HEART_DOUBTS
from pleura.runtime.open import open_weights

ROUTE = "/v1/segmentations"


def test_a_doubtful_ratio_is_null_and_the_reason_is_given(
    start: Callable[..., httpx.Client], films_root: Path
) -> None:
    client = start(engine=open_weights())
    body = (films_root / "covid" / "images" / "fx1_lrg.jpg").read_bytes()
    lungs = client.post(ROUTE, content=body).json()["lungs"]["field"]
    assert lungs["measurements"]["cardiothoracic_ratio"] is None
    code = "unsure_heart"
    assert lungs["quality"]["heart"] == {
        "verdict": "review",
        "doubts": [{"code": code, "text": HEART_DOUBTS[code]}],
    }
    headers = client.post(ROUTE, params={"format": "mask"}, content=body).headers
    assert headers["Pleura-Heart-Verdict"] == "review"
    assert headers["Pleura-Heart-Doubts"] == code


def test_weights_without_a_heart_give_no_heart(client: httpx.Client, films: Path) -> None:
    body = (films / "a.png").read_bytes()
    assert client.post(ROUTE, content=body).json()["lungs"]["field"]["quality"]["heart"] is None
    headers = client.post(ROUTE, params={"format": "mask"}, content=body).headers
    assert "Pleura-Heart-Verdict" not in headers
