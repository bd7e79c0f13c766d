"""The results of the service are those of the command line, bit for bit."""

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
from benchmarks.faults.weights import dark_is_lung
from PIL import Image

import pleura
from pleura.core.card import Card
from pleura.core.digest import sha256
from pleura.core.masks.contours import mask_from_rle
from pleura.runtime.engine import OnnxEngine

ROUTE = "/v1/segmentations"


@pytest.fixture
def written(films: Path, tiny_weights: Path, run: Callable[..., Any], tmp_path: Path) -> Path:
    """The output folder of the command line for the same films."""
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
        response = client.post(ROUTE, params={"format": picture}, content=body)
        assert response.headers["content-type"] == "image/png"
        (expected,) = written.glob(f"{name}*_{picture}.png")
        assert response.content == expected.read_bytes()


def test_json_holds_measurements_and_exact_masks(client: httpx.Client, films: Path) -> None:
    response = client.post(ROUTE, content=(films / "a.png").read_bytes()).json()
    assert (response["height"], response["width"], response["status"]) == (160, 128, "done")
    lungs = response["lungs"]["field"]
    masks = {side: mask_from_rle(lungs["rle"][side]["counts"], 160, 128) for side in RIGHT_LEFT}
    for side, mask in masks.items():
        assert lungs["measurements"][f"{side}_area_px"] == mask.sum()
    # drawn: two rectangles of 80 x 32 px, the patient's right one on the viewer's left
    right = np.argwhere(masks["right"])
    assert abs(masks["right"].sum() - 80 * 32) < 0.1 * 80 * 32
    assert right[:, 1].max() < 64
    assert lungs["rle"]["heart"] is None
    assert response["provenance"]["weights_name"] == "tiny"
    assert "definition" not in response["provenance"]


def test_several_weights_are_averaged(
    serve: Callable[..., Any], films: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(dark_is_lung(level=0.1))
    address, body = serve("--weights", other).address, (films / "a.png").read_bytes()
    response = httpx.post(address + ROUTE, content=body, timeout=60).json()
    expected = pleura.segment(body, weights=[tiny_weights, other])
    made_by = response["provenance"]
    assert made_by["weights_sha256"] == expected.provenance.weights_sha256
    mask = mask_from_rle(response["lungs"]["field"]["rle"]["right"]["counts"], 160, 128)
    np.testing.assert_array_equal(mask, expected.right)
    members = httpx.get(f"{address}/v1/model").json()["card"]["architecture"]["members"]
    digests = [sha256(path.read_bytes()) for path in (tiny_weights, other)]
    assert [member["sha256"] for member in members] == digests


RIGHT_LEFT = ("right", "left")


def png(film: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(film).save(file, "PNG")
    return file.getvalue()


def pale(*dark: slice) -> bytes:
    """A film of 160 x 128 px of light greys; rows 40 to 120 of the columns `dark` are dark."""
    film = np.tile(np.linspace(200, 240, 128).astype(np.uint8), (160, 1))
    for columns in dark:
        film[40:120, columns] = 40
    return png(film)


RIGHT, LEFT = slice(16, 48), slice(80, 112)


def test_the_overlay_of_a_film_with_doubts_is_that_of_the_command_line(
    five: httpx.Client, five_weights: Path, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "one.png").write_bytes(pale(RIGHT))
    options = ["--weights", five_weights, "-f", "overlay", "-q", "--threads", 1]
    assert run("segment", tmp_path / "one.png", "-o", tmp_path / "out", *options).code == 0
    response = five.post(ROUTE, params={"format": "overlay"}, content=pale(RIGHT))
    assert response.content == (tmp_path / "out/one_overlay.png").read_bytes()
    overlay = Image.open(io.BytesIO(response.content))
    rows, _ = map(int, overlay.info["pleura:film"].split(","))
    below = np.asarray(overlay)[rows:]
    assert (below == (0xF0, 0xE4, 0x42)).all(axis=-1).any()  # the warning below the film


@pytest.fixture(scope="module")
def five(start: Callable[..., httpx.Client], five_weights: Path) -> httpx.Client:
    """A client of a service with both definitions; `whole` always has a part of the left lung."""
    return start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))


@pytest.mark.parametrize(
    ("dark", "verdict", "codes"),
    [
        ((RIGHT, LEFT), "ok", []),
        ((RIGHT,), "review", ["one_lung_missing"]),
    ],
)
def test_every_response_has_a_verdict(
    five: httpx.Client, dark: tuple[slice, ...], verdict: str, codes: list[str]
) -> None:
    film = pale(*dark)
    quality = five.post(ROUTE, content=film).json()["lungs"]["field"]["quality"]
    assert quality["verdict"] == verdict
    assert [doubt["code"] for doubt in quality["doubts"]] == codes
    assert all(doubt["text"].endswith((".", "?")) for doubt in quality["doubts"])
    for kind in ("mask", "overlay"):
        headers = five.post(ROUTE, params={"format": kind}, content=film).headers
        assert headers["pleura-verdict"] == verdict
        assert headers.get("pleura-doubts", "") == ", ".join(codes)
        assert float(headers["pleura-uncertainty"]) == quality["uncertainty"] > 0
    both = {"film": ("a.png", film)}
    (response,) = five.post(ROUTE, files=both).json()["results"]
    assert response["lungs"]["field"]["quality"] == quality


def test_each_definition_has_a_verdict_of_its_own_and_is_counted(
    start: Callable[..., httpx.Client], refusing_weights: Path
) -> None:
    client = start(engine=OnnxEngine(refusing_weights.read_bytes(), threads=1))
    response = client.post(ROUTE, params={"lungs": "all"}, content=pale(RIGHT)).json()["lungs"]
    verdicts = {name: lungs["quality"]["verdict"] for name, lungs in response.items()}
    assert verdicts == {"field": "refused", "whole": "review"}
    assert [doubt["code"] for doubt in response["field"]["quality"]["doubts"]] == ["no_lungs"]
    assert response["field"]["quality"]["estimated_dice"] is None
    assert response["field"]["quality"]["uncertainty"] is None
    assert response["whole"]["quality"]["uncertainty"] > 0
    mask = client.post(ROUTE, headers={"Accept": "image/png"}, content=pale(RIGHT))
    assert mask.headers["pleura-verdict"] == "refused"
    assert "pleura-estimated-dice" not in mask.headers
    assert "pleura-uncertainty" not in mask.headers
    assert verdicts_counted(client) == {
        "ok": 0,
        "review": 0,
        "refused": 2,
    }  # by the first definition


def verdicts_counted(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = [line.split(" ") for line in lines if line.startswith("pleura_verdicts_total")]
    return {name.split('"')[1]: float(number) for name, number in pairs}


def test_verdicts_are_counted(start: Callable[..., httpx.Client], five_weights: Path) -> None:
    client = start(engine=OnnxEngine(five_weights.read_bytes(), threads=1))
    assert verdicts_counted(client) == {"ok": 0, "review": 0, "refused": 0}
    films = [pale(RIGHT, LEFT), pale(RIGHT), pale(LEFT), b"no film"]
    client.post(ROUTE, files=[("film", (f"{n}.png", film)) for n, film in enumerate(films)])
    assert verdicts_counted(client) == {"ok": 1, "review": 2, "refused": 0}


def test_json_holds_the_requested_pictures(
    client: httpx.Client, films: Path, written: Path
) -> None:
    wanted = {"include": ["mask", "film", "row"]}
    response = client.post(ROUTE, params=wanted, content=(films / "b.png").read_bytes()).json()
    lungs = response["lungs"]["field"]
    assert base64.b64decode(lungs["mask_png"]) == (written / "b_mask.png").read_bytes()
    shown = Image.open(io.BytesIO(base64.b64decode(response["film_png"])))
    assert (shown.mode, shown.size) == ("L", (128, 200))
    assert lungs["row"]["lungs_area_px"] == lungs["measurements"]["lungs_area_px"]
    assert "rle" not in lungs


def test_a_form_is_answered_film_by_film(client: httpx.Client, films: Path) -> None:
    names = ("a.png", "notes.txt", "b.png")
    files = [("film", (name, (films / name).read_bytes())) for name in names]
    response = client.post(ROUTE, files=files)
    assert response.status_code == 200
    first, bad, last = response.json()["results"]
    assert (first["film"], last["film"], last["height"]) == ("a.png", "b.png", 200)
    assert (bad["film"], bad["status"], bad["problem"]["status"]) == ("notes.txt", "failed", 415)
    assert "text file" in bad["problem"]["detail"]


def test_csv_is_the_table_of_the_command_line(
    client: httpx.Client, films: Path, written: Path
) -> None:
    files = [("film", (name, (films / name).read_bytes())) for name in ("b.png", "bad.png")]
    response = client.post(ROUTE, files=files, headers={"Accept": "text/csv"})
    done, failed = csv.DictReader(io.StringIO(response.text))
    with (written / "results.csv").open(newline="") as file:
        expected = {row["film"]: row for row in csv.DictReader(file)}
    apart = {"path", "mask", "seconds"}
    assert {k: v for k, v in done.items() if k not in apart} == {
        k: v for k, v in expected["b"].items() if k not in apart
    }
    assert failed["error"] == expected["bad"]["error"]


def test_all_definitions_come_with_one_request(
    start: Callable[..., httpx.Client], films: Path, dark_weights: Callable[..., bytes]
) -> None:
    card = Card(name="two", version="0.1.0", channels=("field", "whole"), side=64)
    client = start(engine=OnnxEngine(dark_weights(card.to_json(), maps=2), threads=1))
    body = (films / "a.png").read_bytes()
    both = client.post(ROUTE, params={"lungs": "all"}, content=body).json()["lungs"]
    assert list(both) == ["field", "whole"]
    for definition in both:
        alone = client.post(ROUTE, params={"lungs": definition}, content=body).json()["lungs"]
        assert alone == {definition: both[definition]}
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
def test_accept_selects_the_format(
    client: httpx.Client, films: Path, accept: str, kind: str
) -> None:
    body = (films / "a.png").read_bytes()
    response = client.post(ROUTE, content=body, headers={"Accept": accept})
    assert response.headers["content-type"] == kind
    assert response.status_code == (406 if "problem" in kind else 200)


def test_a_file_name_is_no_formula_in_the_table(client: httpx.Client, films: Path) -> None:
    parts = [("film", ("=1+1.png", (films / "a.png").read_bytes())), ("film", ("@x", b"none"))]
    response = client.post(ROUTE, params={"format": "csv"}, files=parts)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["film"], row["path"]) for row in rows] == [("'=1+1", "'=1+1.png"), ("'@x", "'@x")]
    assert rows[0]["lungs_box"].startswith("40 16")  # numbers are unchanged


def test_a_film_as_the_body_can_have_a_name(client: httpx.Client, films: Path) -> None:
    content = (films / "a.png").read_bytes()
    named = client.post(ROUTE, params={"name": "ward/Ä 1.png"}, content=content).json()
    assert named["film"] == "ward/Ä 1.png"
    table = client.post(ROUTE, params={"name": "x.png", "format": "csv"}, content=content).text
    row = next(csv.DictReader(table.splitlines()))
    assert (row["film"], row["path"]) == ("x", "x.png")
    form = client.post(ROUTE, params={"name": "x.png"}, files={"film": ("a.png", content)})
    assert form.status_code == 400
    assert "a form names its films" in form.json()["detail"]
    assert client.post(ROUTE, params={"name": "x" * 256}, content=content).status_code == 400
