"""What the service answers of films: the same as the command line, bit for bit."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from pleura.core.card import Card
from pleura.core.masks.contours import mask_from_rle
from pleura.runtime.engine import OnnxEngine

WHERE = "/v1/segmentations"


@pytest.fixture
def written(films: Path, tiny_weights: Path, run: Callable[..., Any], tmp_path: Path) -> Path:
    """What the command line makes of the same films."""
    out = tmp_path / "written"
    (films / "bad.png").write_text("not a film")
    options = ["--weights", tiny_weights, "-f", "mask,labels,overlay", "--no-progress"]
    assert run("segment", films, "-o", out, *options, "--threads", 1).code == 3
    return out


@pytest.mark.parametrize("picture", ["mask", "labels", "overlay"])
def test_pictures_are_those_of_the_command_line(
    client: httpx.Client, films: Path, written: Path, picture: str
) -> None:
    for name in ("b", "deep/a"):
        body = (films / f"{name}.png").read_bytes()
        told = client.post(WHERE, params={"format": picture}, content=body)
        assert told.headers["content-type"] == "image/png"
        (expected,) = written.glob(f"{name}*_{picture}.png")
        assert told.content == expected.read_bytes()


def test_json_holds_measurements_and_exact_masks(client: httpx.Client, films: Path) -> None:
    told = client.post(WHERE, content=(films / "a.png").read_bytes()).json()
    assert (told["height"], told["width"], told["status"]) == (160, 128, "done")
    lungs = told["lungs"]["field"]
    masks = {side: mask_from_rle(lungs["rle"][side]["counts"], 160, 128) for side in RIGHT_LEFT}
    for side, mask in masks.items():
        assert lungs["measurements"][f"{side}_area_px"] == mask.sum()
    # drawn: two rectangles of 80 x 32 px, the patient's right one on the viewer's left
    right = np.argwhere(masks["right"])
    assert abs(masks["right"].sum() - 80 * 32) < 0.1 * 80 * 32
    assert right[:, 1].max() < 64
    assert lungs["rle"]["heart"] is None
    assert told["provenance"]["weights_name"] == "tiny"
    assert "definition" not in told["provenance"]


RIGHT_LEFT = ("right", "left")


def png(film: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(film).save(file, "PNG")
    return file.getvalue()


def pale(*dark: slice) -> bytes:
    """A film of 160 x 128 px, a ramp of light greys; rows 40 to 120 of these columns are dark."""
    film = np.tile(np.linspace(200, 240, 128).astype(np.uint8), (160, 1))
    for columns in dark:
        film[40:120, columns] = 40
    return png(film)


RIGHT, LEFT = slice(16, 48), slice(80, 112)


def test_the_overlay_of_a_doubtful_film_is_marked_as_the_command_line_does(
    five: httpx.Client, five_weights: Path, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "one.png").write_bytes(pale(RIGHT))
    options = ["--weights", five_weights, "-f", "overlay", "-q", "--threads", 1]
    assert run("segment", tmp_path / "one.png", "-o", tmp_path / "out", *options).code == 0
    told = five.post(WHERE, params={"format": "overlay"}, content=pale(RIGHT))
    assert told.content == (tmp_path / "out/one_overlay.png").read_bytes()
    overlay = Image.open(io.BytesIO(told.content))
    rows, _ = map(int, overlay.info["pleura:film"].split(","))
    below = np.asarray(overlay)[rows:]
    assert (below == (0xF0, 0xE4, 0x42)).all(axis=-1).any()  # the warning, outside the film


@pytest.fixture(scope="module")
def five(start: Callable[..., httpx.Client], five_weights: Path) -> httpx.Client:
    """Of a service with both definitions; by `whole` a part of the left lung is always there."""
    return start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))


@pytest.mark.parametrize(
    ("dark", "verdict", "codes"),
    [
        ((RIGHT, LEFT), "ok", []),
        ((RIGHT,), "review", ["one_lung_missing"]),
    ],
)
def test_a_verdict_comes_with_every_answer(
    five: httpx.Client, dark: tuple[slice, ...], verdict: str, codes: list[str]
) -> None:
    film = pale(*dark)
    quality = five.post(WHERE, content=film).json()["lungs"]["field"]["quality"]
    assert quality["verdict"] == verdict
    assert [each["code"] for each in quality["doubts"]] == codes
    assert all(each["text"].endswith((".", "?")) for each in quality["doubts"])
    for kind in ("mask", "overlay"):
        headers = five.post(WHERE, params={"format": kind}, content=film).headers
        assert headers["pleura-verdict"] == verdict
        assert headers.get("pleura-doubts", "") == ", ".join(codes)
    both = {"film": ("a.png", film)}
    (told,) = five.post(WHERE, files=both).json()["results"]
    assert told["lungs"]["field"]["quality"] == quality


def test_each_definition_has_a_verdict_of_its_own_and_is_counted(
    start: Callable[..., httpx.Client], refusing_weights: Path
) -> None:
    client = start(engine=OnnxEngine(refusing_weights.read_bytes(), threads=1))
    told = client.post(WHERE, params={"lungs": "all"}, content=pale(RIGHT)).json()["lungs"]
    verdicts = {name: lungs["quality"]["verdict"] for name, lungs in told.items()}
    assert verdicts == {"field": "refused", "whole": "review"}
    assert [each["code"] for each in told["field"]["quality"]["doubts"]] == ["no_lungs"]
    assert told["field"]["quality"]["estimated_dice"] is None
    mask = client.post(WHERE, headers={"Accept": "image/png"}, content=pale(RIGHT))
    assert mask.headers["pleura-verdict"] == "refused"
    assert "pleura-estimated-dice" not in mask.headers
    assert verdicts_counted(client) == {"ok": 0, "review": 0, "refused": 2}  # by the first asked


def verdicts_counted(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = [line.split(" ") for line in lines if line.startswith("pleura_verdicts_total")]
    return {name.split('"')[1]: float(number) for name, number in pairs}


def test_verdicts_are_counted(start: Callable[..., httpx.Client], five_weights: Path) -> None:
    client = start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))
    assert verdicts_counted(client) == {"ok": 0, "review": 0, "refused": 0}
    films = [pale(RIGHT, LEFT), pale(RIGHT), pale(LEFT), b"no film"]
    client.post(WHERE, files=[("film", (f"{n}.png", film)) for n, film in enumerate(films)])
    assert verdicts_counted(client) == {"ok": 1, "review": 2, "refused": 0}


def test_json_holds_the_pictures_that_were_asked_for(
    client: httpx.Client, films: Path, written: Path
) -> None:
    wanted = {"include": ["mask", "film", "row"]}
    told = client.post(WHERE, params=wanted, content=(films / "b.png").read_bytes()).json()
    lungs = told["lungs"]["field"]
    assert base64.b64decode(lungs["mask_png"]) == (written / "b_mask.png").read_bytes()
    shown = Image.open(io.BytesIO(base64.b64decode(told["film_png"])))
    assert (shown.mode, shown.size) == ("L", (128, 200))
    assert lungs["row"]["lungs_area_px"] == lungs["measurements"]["lungs_area_px"]
    assert "rle" not in lungs


def test_a_form_is_answered_film_by_film(client: httpx.Client, films: Path) -> None:
    names = ("a.png", "notes.txt", "b.png")
    files = [("film", (name, (films / name).read_bytes())) for name in names]
    told = client.post(WHERE, files=files)
    assert told.status_code == 200
    first, bad, last = told.json()["results"]
    assert (first["film"], last["film"], last["height"]) == ("a.png", "b.png", 200)
    assert (bad["film"], bad["status"], bad["problem"]["status"]) == ("notes.txt", "failed", 415)
    assert "text file" in bad["problem"]["detail"]


def test_csv_is_the_table_of_the_command_line(
    client: httpx.Client, films: Path, written: Path
) -> None:
    files = [("film", (name, (films / name).read_bytes())) for name in ("b.png", "bad.png")]
    told = client.post(WHERE, files=files, headers={"Accept": "text/csv"})
    done, failed = csv.DictReader(io.StringIO(told.text))
    with (written / "results.csv").open(newline="") as file:
        expected = {row["film"]: row for row in csv.DictReader(file)}
    apart = {"path", "mask", "seconds"}
    assert {k: v for k, v in done.items() if k not in apart} == {
        k: v for k, v in expected["b"].items() if k not in apart
    }
    assert failed["error"] == expected["bad"]["error"]


def test_all_definitions_come_at_one_asking(
    start: Callable[..., httpx.Client], films: Path, dark_weights: Callable[..., bytes]
) -> None:
    card = Card(name="two", version="0.1.0", channels=("field", "whole"), side=64)
    client = start(engine=OnnxEngine(dark_weights(card.to_json(), maps=2), threads=1))
    body = (films / "a.png").read_bytes()
    both = client.post(WHERE, params={"lungs": "all"}, content=body).json()["lungs"]
    assert list(both) == ["field", "whole"]
    for each in both:
        alone = client.post(WHERE, params={"lungs": each}, content=body).json()["lungs"]
        assert alone == {each: both[each]}
    assert client.get("/metrics").text.count('pleura_films_total{outcome="done"} 3.0') == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("text/html;q=0.9, text/csv;q=0.5", "text/csv; charset=utf-8"),
        ("image/*;q=0.2, application/json;q=0.4", "application/json"),
        ("video/mp4", "application/problem+json"),
        ("application/json;q=0", "application/problem+json"),
    ],
)
def test_accept_chooses(client: httpx.Client, films: Path, accept: str, kind: str) -> None:
    body = (films / "a.png").read_bytes()
    told = client.post(WHERE, content=body, headers={"Accept": accept})
    assert told.headers["content-type"] == kind
    assert told.status_code == (406 if "problem" in kind else 200)


def test_a_name_in_a_table_is_no_formula(client: httpx.Client, films: Path) -> None:
    parts = [("film", ("=1+1.png", (films / "a.png").read_bytes())), ("film", ("@x", b"none"))]
    told = client.post(WHERE, params={"format": "csv"}, files=parts)
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert [(row["film"], row["path"]) for row in rows] == [("'=1+1", "'=1+1.png"), ("'@x", "'@x")]
    assert rows[0]["lungs_box"].startswith("40 16")  # numbers as they are
