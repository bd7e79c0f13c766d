"""The heart of real films: a sure ratio is given, a doubtful one is not, with a reason.

`UNSURE` is a film to train on. Nobody drew its heart, and its width depends on the threshold.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

import pleura
from pleura.apps.cli.main import main
from pleura.core.masks.components import split_pieces
from pleura.core.masks.measure import transverse_widths
from pleura.core.quality.verdict import HEART_DOUBTS
from pleura.core.types import Segmentation
from pleura.io.dicom.results import dicom_results
from pleura.io.images.write.caption import captioned

SURE = "jsrt512/images/JPCLN001.png"
UNSURE = "covid/images/fx1_lrg.jpg"
REFUSED = "negatives/covid-19-pneumonia-14-L.jpg"
SPILLING = "openist/images/188-197-500-500-100.jpg"


def film_of(root: Path, name: str) -> Path:
    (path,) = root.glob(name.rsplit(".", 1)[0] + ".*")
    return path


@pytest.fixture(scope="module")
def results(films_root: Path) -> dict[str, Segmentation]:
    return {name: pleura.segment(film_of(films_root, name)) for name in (SURE, UNSURE)}


def test_python_gives_a_sure_ratio_and_no_doubtful_one(results: dict[str, Segmentation]) -> None:
    sure, unsure = results[SURE], results[UNSURE]
    assert sure.quality.heart is not None
    assert (sure.quality.heart.verdict, sure.quality.heart.doubts) == ("ok", ())
    assert 0.3 < (sure.measurements.cardiothoracic_ratio or 0) < 0.7
    assert unsure.quality.heart is not None
    assert unsure.quality.heart.verdict == "review"
    assert [doubt.code for doubt in unsure.quality.heart.doubts] == ["unsure_heart"]
    assert unsure.measurements.cardiothoracic_ratio is None
    assert unsure.measurements.heart_area_px  # the mask is there all the same


def test_the_command_line_and_its_table(
    films_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = [str(film_of(films_root, name)) for name in (SURE, UNSURE, REFUSED)]
    out = tmp_path / "out"
    assert main(["segment", *films, "-o", str(out), "--json", "-q"]) == 0
    records = {row["film"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    with (out / "results.csv").open(newline="") as file:
        table = {row["film"]: row for row in csv.DictReader(file)}
    assert len(table) == len(records) == 3
    expected = {
        "JPCLN001": ("ok", ""),
        "fx1_lrg": ("review", "unsure_heart"),
        "covid-19-pneumonia-14-L": ("refused", "film_refused"),
    }
    for name, (verdict, doubts) in expected.items():
        for row in (table[name], records[name]):
            assert (row["heart_verdict"], row["heart_doubts"]) == (verdict, doubts), name
        assert bool(table[name]["cardiothoracic_ratio"]) is (verdict == "ok"), name
        assert (records[name]["cardiothoracic_ratio"] is not None) is (verdict == "ok"), name


def report_of(result: Segmentation) -> Dataset:
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.9"
    film.PatientName, film.PatientID, film.Modality = "A^B", "7", "CR"
    film.PatientOrientation = ["L", "F"]
    film.set_pixel_data(np.zeros(result.radiograph.size, np.uint8), "MONOCHROME2", 8)
    film.SOPInstanceUID = "1.2.3.4"
    (report,) = dicom_results(film, result, ("dicom-sr",))
    return report


def concepts(item: Dataset) -> dict[str, str]:
    """Code of each concept in a tree -> its value, of codes and numbers."""
    values: dict[str, str] = {}
    for inner in item.get("ContentSequence", []):
        if "ConceptNameCodeSequence" in inner:
            name = inner.ConceptNameCodeSequence[0].CodeValue
            if inner.ValueType == "CODE":
                values[name] = inner.ConceptCodeSequence[0].CodeValue
            elif inner.ValueType == "NUM":
                values[name] = str(inner.MeasuredValueSequence[0].NumericValue)
            elif inner.ValueType == "TEXT":
                values[inner.TextValue] = ""
        values |= concepts(inner)
    return values


def heart_group(sr: Dataset) -> Dataset:
    (groups,) = [
        item.ContentSequence
        for item in sr.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"  # Imaging Measurements
    ]
    return groups[-1]


def test_the_dicom_report(results: dict[str, Segmentation]) -> None:
    sure, unsure = (report_of(results[name]) for name in (SURE, UNSURE))
    values = concepts(heart_group(sure))
    assert values["verdict"] == "ok"
    assert float(values["cardiothoracic"]) == pytest.approx(
        results[SURE].measurements.cardiothoracic_ratio, rel=1e-5
    )
    values = concepts(heart_group(unsure))
    assert (values["verdict"], values["doubt"]) == ("review", "unsure_heart")
    assert "cardiothoracic" not in values
    assert HEART_DOUBTS["unsure_heart"] in concepts(unsure)


def test_the_overlay_has_no_bars_and_says_why(results: dict[str, Segmentation]) -> None:
    unsure = results[UNSURE]
    assert isinstance(unsure, pleura.Segmentation)
    drawn = np.asarray(unsure.overlay(legend=False))
    widths = transverse_widths(unsure.right, unsure.left, unsure.heart)
    assert widths is not None
    sure = replace(unsure, measurements=replace(unsure.measurements, cardiothoracic_ratio=0.5))
    with_bars = np.asarray(sure.overlay(legend=False))
    assert (with_bars != drawn).any()
    blank = Image.new("RGB", unsure.radiograph.size[::-1])
    settled = replace(unsure, quality=replace(unsure.quality, heart=None))
    assert captioned(blank, unsure).height > captioned(blank, settled).height


def test_a_heart_mask_does_not_spill_along_the_diaphragm(films_root: Path) -> None:
    """Its ratio was 0.71, of a slim man whose heart is less than half as wide as his chest."""
    result = pleura.segment(film_of(films_root, SPILLING))
    ratio = result.measurements.cardiothoracic_ratio
    assert ratio is None or ratio < 0.55
    assert result.heart is not None
    pieces = split_pieces(result.heart, share=0.0)
    assert (pieces.count, pieces.holes.sum()) == (1, 0)
