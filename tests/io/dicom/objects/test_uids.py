"""The UIDs of DICOM results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import (
    UID,
)
from tests.io.dicom.objects.drawn import as_bytes, ellipses, film

from pleura.core.types import Provenance
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.results import dicom_results, result_uids


def test_the_same_film_and_weights_give_the_same_uids() -> None:
    data = as_bytes(film())
    segmentation = ellipses(data)
    formats = list(DICOM_FORMATS)
    first, again = (dicom_results(data, segmentation, formats) for _ in range(2))
    uids = [result.SOPInstanceUID for result in first]
    assert [result.SOPInstanceUID for result in again] == uids
    for result_of, other in zip(first, again, strict=True):  # series and dimensions too
        every = [[e.value for e in made.iterall() if e.VR == "UI"] for made in (result_of, other)]
        assert every[0] == every[1]
    assert result_uids(data, segmentation.provenance, formats) == uids
    assert result_uids(film(), segmentation.provenance, reversed(formats)) == uids
    assert len(set(uids)) == len(formats)
    assert all(UID(uid).is_valid for uid in uids)


@pytest.mark.parametrize(
    "other",
    [
        {"version": "0.2.0"},
        {"weights_sha256": "cd" * 32},
        {"definition": "whole"},
        {"flip": True},
    ],
)
def test_other_versions_weights_and_options_give_other_uids(other: dict[str, Any]) -> None:
    made_by = Provenance("0.1.0", "by hand", "ab" * 32, "none", "field")
    data = as_bytes(film())
    mine, theirs = (
        result_uids(data, by, ["dicom-seg"]) for by in (made_by, replace(made_by, **other))
    )
    assert mine != theirs
    another_film = result_uids(film(SOPInstanceUID="1.2.3.4.5.7"), made_by, ["dicom-seg"])
    assert another_film != mine


def test_segments_and_groups_of_the_report_share_their_tracking_uids() -> None:
    data = as_bytes(film())
    seg, sr = dicom_results(data, ellipses(data), ["dicom-seg", "dicom-sr"])
    segments = {item.TrackingID: item.TrackingUID for item in seg.SegmentSequence}
    assert list(segments) == ["Right lung", "Left lung", "Heart"]
    reported = [element.value for element in sr.iterall() if element.keyword == "UID"]
    assert [uid for uid in reported if uid in segments.values()] == list(segments.values())


def test_an_engine_changes_no_uid() -> None:
    made_by = Provenance("0.1.0", "by hand", "ab" * 32, "openvino 2026.1", "field")
    updated = replace(made_by, engine="onnxruntime 1.23")
    data, formats = as_bytes(film()), list(DICOM_FORMATS)
    assert result_uids(data, made_by, formats) == result_uids(data, updated, formats)
