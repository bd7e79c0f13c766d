"""The verdict on a film is the same over HTTP as on the command line, by each definition."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pleura.runtime.open import open_weights


@pytest.mark.parametrize(
    "film",
    ["negatives/16745_4_3.jpg", "negatives/kjr-21-e24-g002-l-c.jpg", "covid/images/000001-3.jpg"],
)
def test_http_and_the_command_line_conclude_alike(
    start: Callable[..., httpx.Client],
    run: Callable[..., Any],
    films_root: Path,
    tmp_path: Path,
    film: str,
) -> None:
    path = films_root / film
    by_command = {}
    for definition in ("field", "whole"):
        out = tmp_path / definition
        assert run("segment", path, "-o", out, "-q", "--lungs", definition, "--force").code == 0
        with (out / "results.csv").open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        by_command[definition] = (row["verdict"], row["doubts"])
    client = start(engine=open_weights())
    answer = client.post(
        "/v1/segmentations", params={"lungs": "all", "force": "true"}, content=path.read_bytes()
    ).json()
    by_http = {
        definition: (
            lungs["quality"]["verdict"],
            "; ".join(doubt["code"] for doubt in lungs["quality"]["doubts"]),
        )
        for definition, lungs in answer["lungs"].items()
    }
    assert by_http == by_command
    film_doubts = {"not_a_chest_film", "unusual_shape"}
    field, whole = (set(doubts.split("; ")) & film_doubts for _, doubts in by_http.values())
    assert field == whole != set()
