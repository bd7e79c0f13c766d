"""Folds: each patient validates once, the folds are alike, and test films have none."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.data.folds import folds_csv, folds_of, read_folds
from pleura.lab.data.split import read_split, split


def film(name: str, *, patient: str = "", condition: str = "", masked: bool = True) -> Film:
    masks = (MaskPart(Path(f"{name}.png"), "field"),) if masked else ()
    return Film(name, "north", Path(f"{name}.jpg"), masks, None, patient or name, condition)


CLINIC = [
    film(f"{patient}-{turn}", patient=f"p{patient}", condition="ill" if patient % 3 else "well")
    for patient in range(15)
    for turn in range(2)
] + [film("unlabelled", masked=False)]


def test_each_patient_validates_in_one_fold() -> None:
    divided, folds = folds_of(CLINIC, 4, test=0.2)
    tested = {one.patient for one in divided if one.split == "test"}
    assert len(tested) == 3
    assert tested == {one.patient for one in split(CLINIC, test=0.2) if one.split == "test"}
    of_patient = defaultdict(set)
    for one in divided:
        of_patient[one.patient].add((one.split, folds.get(one.id)))
    assert all(len(parts) == 1 for parts in of_patient.values())
    assert sorted(Counter(folds.values()).values()) == [6, 6, 6, 6]  # 12 patients of two films
    assert {one.split for one in divided if folds.get(one.id) == 1} == {"val"}
    assert {one.split for one in divided if folds.get(one.id, 1) > 1} == {"train"}
    assert folds.keys().isdisjoint(one.id for one in divided if one.split in ("test", None))
    ill = Counter(folds[one.id] for one in divided if one.id in folds and one.condition == "ill")
    assert max(ill.values()) - min(ill.values()) <= 2, "alike but for one patient"
    assert folds_of(CLINIC[::-1], 4, test=0.2)[1] == folds


def test_the_table_reads_back(tmp_path: Path) -> None:
    divided, folds = folds_of(CLINIC, 3)
    path = tmp_path / "folds.csv"
    path.write_text(folds_csv(divided, folds))
    assert path.read_text().splitlines()[0] == "id,split,patient,fold"
    assert read_folds(path) == folds
    assert read_split(path) == {one.id: one.split for one in divided if one.split}


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (1, UsageError, "needs 2 folds or more, got 1"),
        (13, DataError, "12 patients are left to divide into 13 folds"),
    ],
)
def test_a_number_of_folds_that_does_not_fit(
    count: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        folds_of(CLINIC, count)


def test_a_split_without_folds_says_how_to_make_them(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("id,split\na,train\n")
    with pytest.raises(UsageError, match="no column fold; make one with `pleura data split --fol"):
        read_folds(path)
    path.write_text("id,split,fold\na,train,first\n")
    with pytest.raises(DataError, match="the fold of a is 'first', not a whole number"):
        read_folds(path)
