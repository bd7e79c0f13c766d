"""Queries over many studies: every study is found, whatever the pages of the archive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pleura.apps.pacs.client import Refused
from pleura.apps.pacs.dicomweb.search import Query, _studies

BOTH = [(f"1.2.{number}", ["CR", "DX"]) for number in range(1000, 1120)]
DX = [(f"1.2.{number}", ["DX"]) for number in range(2000, 2012)]
CT = [(f"1.2.{number}", ["CT"]) for number in range(3000, 3510)]
UNLISTED = [(f"1.2.{number}", list[str]()) for number in range(4000, 4008)]
STUDIES = [*CT[:300], *BOTH, *CT[300:], *DX, *UNLISTED]


class Archive:
    """A DICOMweb archive of 650 studies, whose pages have `most` studies at most."""

    def __init__(self, most: int) -> None:
        self.most = most

    def search_for_studies(
        self, *, limit: int, offset: int, search_filters: dict[str, str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        assert search_filters == {"StudyDate": "20261101-"}
        assert fields == ["00080061"]
        page = STUDIES[offset : offset + min(limit, self.most)]
        return [
            {"0020000D": {"Value": [uid]}, **({"00080061": {"Value": held}} if held else {})}
            for uid, held in page
        ]


@pytest.mark.parametrize("most", [7, 100, 1000])
@pytest.mark.parametrize("modalities", [("CR", "DX"), ("DX", "CR")])
def test_every_study_is_found_once(most: int, modalities: tuple[str, ...]) -> None:
    assert len(STUDIES) == 650
    studies = list(_studies(Archive(most), Query(modalities, dates="20261101-", most_films=9)))  # type: ignore[arg-type]
    wanted = {uid for uid, _ in (*BOTH, *DX, *UNLISTED)}
    assert sorted(studies) == sorted(wanted)


def test_every_study_of_an_orthanc_is_found_once(
    start_orthanc: Callable[..., Any],
    tools: SimpleNamespace,
    tiny_weights: Path,
    run: Callable[..., Any],
) -> None:
    orthanc, wanted = start_orthanc(), set()
    pixels = np.zeros((8, 8), np.uint16)
    for number in range(650):
        modality = "CT" if number % 3 == 0 else ("DX", "CR")[number % 2]
        film = tools.make_film(pixels, number, Modality=modality)
        file = BytesIO()
        film.save_as(file)
        orthanc.rest.post("/instances", content=file.getvalue()).raise_for_status()
        wanted |= set() if modality == "CT" else {str(film.SOPInstanceUID)}
    assert orthanc.rest.get("/statistics").json()["CountStudies"] == 650
    options = ("--weights", tiny_weights, "--dry-run", "--json", "--uids")
    ended = run("dicomweb", orthanc.web, "--since", "2026-01-01", *options)
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 0, ended.err
    assert Counter(line["status"] for line in lines) == {"to do": len(wanted)}
    assert sorted(line["uid"] for line in lines) == sorted(wanted)
    assert len(wanted) == 433


def test_a_modality_alone_finds_its_studies() -> None:
    studies = list(_studies(Archive(100), Query(("CR",), dates="20261101-", most_films=9)))  # type: ignore[arg-type]
    assert set(studies) == {uid for uid, _ in (*BOTH, *UNLISTED)}


def test_an_archive_that_ignores_the_offset_is_an_error() -> None:
    class Stubborn(Archive):
        def search_for_studies(self, **query: Any) -> list[dict[str, Any]]:
            return super().search_for_studies(**{**query, "offset": 0})

    with pytest.raises(Refused, match="every page with the same studies"):
        list(_studies(Stubborn(100), Query(("CT",), dates="20261101-", most_films=9)))  # type: ignore[arg-type]
