"""Pleura from Python, as its documentation promises it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pleura
from pleura import api
from pleura.apps.segment import folder
from pleura.core import types
from pleura.core.card import Card

Make = Callable[..., bytes]


@pytest.fixture(scope="module")
def weights(dark_weights: Make) -> bytes:
    """Weights that call dark pixels lung."""
    card = Card(name="dark", version="0.1.0", channels=("field",), side=64)
    return dark_weights(card.to_json())


def film(height: int = 256, width: int = 128) -> NDArray[np.uint8]:
    """A ramp of bright greys with two dark blocks, 1/4 to 3/4 down, symmetric to the middle.

    In weights of 64 x 64 a block comes back whole but for one pixel at each corner: 4,092 px.
    """
    pixels = np.broadcast_to(np.linspace(200, 216, width), (height, width)).astype(np.uint8)
    for start in (1, 5):
        at = slice(start * width // 8, (start + 2) * width // 8)
        pixels[height // 4 : 3 * height // 4, at] = 20
    return pixels


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_path_bytes_and_array_give_the_same(tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png(film()))
    sources = [path, str(path), path.read_bytes(), film(), film().astype(np.float64) / 255]
    results = [pleura.segment(source, weights=weights) for source in sources]
    for result in results:
        assert result.measurements.right_area_px == 128 * 32 - 4
        np.testing.assert_array_equal(result.mask, results[0].mask)
        assert result.mask.shape == (256, 128)


def test_pictures_files_and_rgb_give_the_same(tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png(film()))
    expected = pleura.segment(path, weights=weights)
    grey = Image.fromarray(film())
    deep = Image.fromarray(film().astype(np.uint16) * 256)
    rgb = np.repeat(film()[..., None], 3, axis=2)
    with path.open("rb") as file, Image.open(path) as opened:
        sources = [BytesIO(png(film())), file, opened, grey, deep, grey.convert("F"), rgb]
        for source in [*sources, grey.convert("RGB"), grey.convert("P"), rgb[:, ::-1][:, ::-1]]:
            result = pleura.segment(source, weights=weights)
            np.testing.assert_array_equal(result.mask, expected.mask)


def test_a_colour_photograph_is_no_film(weights: bytes) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    for source in (colours, Image.fromarray(colours)):
        with pytest.raises(pleura.UnsuitableFilm, match="colour"):
            pleura.segment(source, weights=weights)


def test_values_that_are_no_source(tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "film.txt"
    path.write_text("text")
    with path.open() as text, pytest.raises(pleura.UsageError, match="binary mode"):
        pleura.segment(text, weights=weights)  # type: ignore[arg-type]
    for source in (None, 5, [film()]):
        message = f"not {type(source).__name__}; numpy.asarray makes an array of a tensor"
        with pytest.raises(pleura.UsageError, match=message):
            pleura.segment(source, weights=weights)  # type: ignore[arg-type]


def test_one_number_is_the_spacing_of_rows_and_columns(weights: bytes) -> None:
    result = pleura.segment(film(), weights=weights, spacing=0.5)
    assert result.radiograph.spacing == pleura.Spacing(0.5, 0.5, "user")
    with pytest.raises(pleura.UnsuitableFilm, match="must be positive"):
        pleura.segment(film(), weights=weights, spacing=0)


def test_fast_takes_the_smaller_network() -> None:
    result = pleura.segment(film(512, 512), fast=True)
    assert result.provenance.weights_name == "pleura-fast"
    with pytest.raises(pleura.UsageError, match="leave it or weights out"):
        pleura.segment(film(), fast=True, weights=b"")


def test_a_result_is_a_segmentation_of_the_core(weights: bytes) -> None:
    result = pleura.segment(film(), weights=weights)
    assert isinstance(result, pleura.Segmentation)
    assert isinstance(result, types.Segmentation)
    assert result.probabilities.shape == (1, 256, 128)
    assert repr(result) == (
        "<Segmentation of a film of 256 x 128 pixels: right lung 4,092 px, left lung 4,092 px>"
    )


def test_a_segmenter_gives_the_same_class_as_segment(tmp_path: Path, weights: bytes) -> None:
    engine = pleura.OnnxEngine(weights, threads=1)
    segmenter = pleura.Segmenter(engine)
    radiograph = pleura.read_radiograph(png(film()))
    by_call, (by_batch,) = segmenter(radiograph), segmenter.segment([radiograph])
    expected = pleura.segment(png(film()), engine=engine)
    for result in (by_call, by_batch):
        assert type(result) is type(expected) is pleura.Segmentation
        np.testing.assert_array_equal(result.mask, expected.mask)
        assert result.to_dict() == expected.to_dict()
        assert result.overlay().tobytes() == expected.overlay().tobytes()
        assert result.save(tmp_path / "film") == [tmp_path / "film_mask.png"]


def test_to_dict_goes_through_json(weights: bytes) -> None:
    result = pleura.segment(film(), weights=weights, spacing=(0.5, 0.25))
    record = json.loads(json.dumps(result.to_dict()))
    assert (record["height"], record["width"]) == (256, 128)
    assert record["spacing"] == {"row_mm": 0.5, "col_mm": 0.25, "source": "user"}
    assert record["quality"]["verdict"] == result.quality.verdict
    assert [doubt["code"] for doubt in record["quality"]["doubts"]] == [
        doubt.code for doubt in result.quality.doubts
    ]
    assert record["measurements"]["right_area_px"] == 4092
    assert record["measurements"]["right_box"] == {
        "top": 64,
        "left": 16,
        "bottom": 192,
        "right": 48,
    }
    assert record["measurements"]["cardiothoracic_ratio"] is None
    assert record["provenance"]["weights_name"] == "dark"
    assert record["notes"] == list(result.notes)


def test_overlay(weights: bytes) -> None:
    result = pleura.segment(film(), weights=weights)
    picture = result.overlay(legend=False)
    assert (picture.mode, picture.size) == ("RGB", (128, 256))
    assert picture.getpixel((16, 100)) == (0x00, 0x72, 0xB2)  # the patient's right lung
    assert picture.getpixel((80, 100)) == (0xD5, 0x5E, 0x00)
    explained = result.overlay()
    assert explained.width == 128
    assert explained.height > 256
    np.testing.assert_array_equal(np.asarray(explained)[:256], np.asarray(picture))


def test_a_notebook_shows_the_overlay_smaller(weights: bytes) -> None:
    shown = pleura.segment(film(1600, 800), weights=weights)._repr_png_()
    width, height = Image.open(BytesIO(shown)).size
    assert height == api.NOTEBOOK_SIDE
    assert 0.45 < width / height < 0.5  # 800 x 1600 px, and the legend's rows


def test_save(tmp_path: Path, weights: bytes) -> None:
    result = pleura.segment(film(), weights=weights)
    written = result.save(tmp_path / "out" / "film", formats=["mask", "overlay"])
    assert sorted(path.name for path in written) == ["film_mask.png", "film_overlay.png"]
    with Image.open(tmp_path / "out" / "film_mask.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), np.where(result.mask, 255, 0))
    with Image.open(tmp_path / "out" / "film_overlay.png") as overlay:
        np.testing.assert_array_equal(np.asarray(overlay), np.asarray(result.overlay()))


def test_save_writes_the_mask_unless_told_otherwise(tmp_path: Path, weights: bytes) -> None:
    pleura.segment(film(), weights=weights).save(str(tmp_path / "film"))
    assert [path.name for path in tmp_path.iterdir()] == ["film_mask.png"]


@pytest.mark.parametrize(
    ("stem", "message"), [("", "folder"), ("new/", "folder"), ("a.PNG", "suffix")]
)
def test_save_wants_a_stem(tmp_path: Path, weights: bytes, stem: str, message: str) -> None:
    result = pleura.segment(film(), weights=weights)
    with pytest.raises(pleura.UsageError, match=message):
        result.save(f"{tmp_path}/{stem}")
    assert list(tmp_path.iterdir()) == []


def test_spacing_from_the_caller(weights: bytes) -> None:
    # A pixel of 0.5 mm x 0.25 mm is 0.125 mm2.
    result = pleura.segment(film(), weights=weights, spacing=(0.5, 0.25))
    assert result.measurements.right_area_cm2 == pytest.approx(4092 * 0.125 / 100)
    assert result.measurements.spacing_source == "user"
    same = pleura.segment(film(), weights=weights, spacing=pleura.Spacing(0.5, 0.25, "ruler"))
    assert same.measurements.spacing_source == "ruler"


def test_spacing_of_the_file_gives_way_with_a_note(weights: bytes) -> None:
    from pleura.api import _respaced

    radiograph = pleura.Radiograph(
        film().astype(np.float32), spacing=pleura.Spacing(1, 2, "PixelSpacing")
    )
    changed = _respaced(radiograph, (0.5, 0.5))
    assert changed.spacing == pleura.Spacing(0.5, 0.5, "user")
    assert changed.notes == (
        "the spacing given, 0.5 x 0.5 mm, took the place of the file's, 1 x 2 mm (PixelSpacing)",
    )


def test_weights_from_a_file(tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(weights)
    assert pleura.segment(film(), weights=path).provenance.weights_name == "dark"
    with pytest.raises(pleura.WeightsError, match=r"cannot read the weights .*absent\.onnx"):
        pleura.segment(film(), weights=tmp_path / "absent.onnx")
    with pytest.raises(pleura.WeightsError, match="no ONNX graph"):
        pleura.segment(film(), weights=png(film()))


def test_an_engine_of_ones_own(weights: bytes) -> None:
    engine = pleura.OnnxEngine(weights, threads=1)
    assert pleura.segment(film(), engine=engine).measurements.right_area_px == 4092
    with pytest.raises(pleura.UsageError, match="not both"):
        pleura.segment(film(), engine=engine, weights=weights)


def test_a_definition_the_weights_lack(weights: bytes) -> None:
    with pytest.raises(pleura.UsageError, match="'field', not 'whole'"):
        pleura.segment(film(), weights=weights, lungs="whole")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.uint16),
        np.zeros(64, np.uint8),
        np.zeros((64, 64), np.bool_),
        np.zeros((64, 64), np.complex64),
        np.full((64, 64), "a"),
    ],
)
def test_arrays_that_are_no_film(pixels: NDArray[np.generic], weights: bytes) -> None:
    with pytest.raises(pleura.UsageError, match=r"\(H, W\) array of real numbers"):
        pleura.segment(pixels, weights=weights)


def test_masked_pixels_are_no_film(weights: bytes) -> None:
    pixels = np.ma.masked_less(film(), film().mean())
    with pytest.raises(
        pleura.UsageError, match=r"pixels are masked; replace them first: film\.fil"
    ):
        pleura.segment(pixels, weights=weights)
    assert pleura.segment(pixels.filled(0), weights=weights).mask.shape == pixels.shape


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64), np.uint8),
        np.ones((1, 1), np.float32),
        np.full((64, 64), np.nan),
        np.where(np.eye(128) > 0, np.inf, film(128, 128)),
    ],
)
def test_arrays_that_cannot_be_segmented(pixels: NDArray[np.generic], weights: bytes) -> None:
    with pytest.raises(pleura.UnsuitableFilm):
        pleura.segment(pixels, weights=weights)


def test_files_that_are_no_images_are_unreadable(tmp_path: Path, weights: bytes) -> None:
    for source in (tmp_path / "absent.png", b"", b"not an image"):
        with pytest.raises(pleura.UnreadableFilm):
            pleura.segment(source, weights=weights)


def test_the_network_is_loaded_once(weights: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    class Counting(pleura.OpenVinoEngine):
        def __init__(self, content: bytes, **options: Any) -> None:
            loaded.append(len(content))
            super().__init__(content, **options)

    api._loaded_engine.cache_clear()
    monkeypatch.setattr("pleura.runtime.openvino_engine.OpenVinoEngine", Counting)
    with ThreadPoolExecutor(4) as pool:
        masks = list(pool.map(lambda _: pleura.segment(film(), weights=weights).mask, range(8)))
    assert loaded == [len(weights)]
    assert all((mask == masks[0]).all() for mask in masks)
    api._loaded_engine.cache_clear()


def test_the_shipped_weights_are_the_default() -> None:
    result = pleura.segment(film(512, 512))
    assert result.provenance.definition == "field"
    assert result.provenance.weights_name != "dark"


# The names


def test_the_public_names_are_those_of_api() -> None:
    assert sorted(pleura.__all__) == sorted([*api.__all__, *folder.__all__, "__version__"])
    for module in (api, folder):
        for name in module.__all__:
            assert getattr(pleura, name) is getattr(module, name)
    assert set(pleura.__all__) <= set(dir(pleura))
    with pytest.raises(AttributeError, match="no attribute 'segments'"):
        _ = pleura.segments  # type: ignore[attr-defined]


def test_a_star_import_works_in_a_fresh_interpreter() -> None:
    code = "from pleura import *; assert segment and FilmError and Segmentation; print(__version__)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.strip() == pleura.__version__
