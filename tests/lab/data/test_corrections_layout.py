"""The layout of corrections: what is wrong in a folder is told."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pleura.core.errors import DataError
from pleura.lab.data.layouts.registry import read_films

FILM = {"id": "a", "image": "films/a.png", "masks": {"right_field": "masks/a_right_field.png"}}


def listed(folder: Path, *films: dict[str, Any]) -> Path:
    (folder / "corrections.json").write_text(json.dumps({"films": films}))
    return folder


def test_patient_and_split_can_be_added_by_hand(tmp_path: Path) -> None:
    (film,) = read_films(listed(tmp_path, {**FILM, "patient": "p", "split": "val"}))
    assert (film.patient, film.split) == ("p", "val")
    (film,) = read_films(listed(tmp_path, FILM))
    assert (film.patient, film.split, film.channels) == ("a", None, {"right_field"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": "../other.png"}, "lies outside of the folder"),
        ({"masks": {"right_field": "/etc/hosts"}}, "lies outside of the folder"),
        ({"masks": {"spleen": "masks/a.png"}}, "unknown label 'spleen'"),
    ],
)
def test_wrong_entries_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_films(listed(tmp_path, {**FILM, **change}))


def test_a_film_without_an_image_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a film without image, masks"):
        read_films(listed(tmp_path, {"id": "a"}))


def test_a_damaged_list_is_reported(tmp_path: Path) -> None:
    (tmp_path / "corrections.json").write_text("{")
    with pytest.raises(DataError, match="save the corrections again"):
        read_films(tmp_path)


def test_a_zip_file_must_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "corrections.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("corrections.json", "{}")
    with pytest.raises(DataError, match="unpack the zip file first"):
        read_films(path)
