"""Checking a data set: each fault gives its finding."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom
from tests.lab.data.drawn_set import DataSet, film, lungs, noise

from pleura.lab.data.check import check
from pleura.lab.data.checks.duplicates import SAME, same_bytes, similar_films, thumbnail
from pleura.lab.data.findings import ERRORS, WARNINGS, Finding
from pleura.lab.data.layouts import read_films


def test_a_good_set_has_no_findings(data: DataSet) -> None:
    calls: list[None] = []
    report = check(data.films(), on_film=lambda: calls.append(None))
    assert report.findings == ()
    assert report.passed
    assert len(calls) == 6
    assert (report.films, report.pairs, report.patients) == (6, 6, 6)
    assert report.counts == {"clinic": {"train": 2, "val": 2, "test": 2}}
    assert report.sizes == {"80 x 96": 6}
    assert report.channels == {"field": 6}
    assert check(data.root) == report


def cut_film(data: DataSet) -> None:
    content = data.image("f0").read_bytes()
    data.image("f0").write_bytes(content[: len(content) // 2])


def lose_film(data: DataSet) -> None:
    data.films()  # listed
    data.image("f0").unlink()


def cut_mask(data: DataSet) -> None:
    content = data.mask("f0").read_bytes()
    data.mask("f0").write_bytes(content[:60])


def empty_mask(data: DataSet) -> None:
    data.write("f0", mask=np.zeros_like(lungs()))


def turned_mask(data: DataSet) -> None:
    data.write("f0", mask=np.rot90(lungs()).copy())


def larger_mask(data: DataSet) -> None:
    data.write("f0", mask=lungs().repeat(2, axis=0).repeat(2, axis=1))


def orphan_mask(data: DataSet) -> None:
    shutil.copy(data.mask("f0"), data.root / "masks" / "f9.png")


def unlisted_film(data: DataSet) -> None:
    data.write("f9", film=film(9))


def no_mask(data: DataSet) -> None:
    data.mask("f0").unlink()


def third_piece(data: DataSet) -> None:
    drawn = lungs()
    drawn[2:8, 2:8] = 255  # 36 of 2436 px
    data.write("f0", mask=drawn)


def speck(data: DataSet) -> None:
    drawn = lungs()
    drawn[2:4, 2:6] = 255  # 8 of 2408 px
    data.write("f0", mask=drawn)


def bridge(data: DataSet) -> None:
    drawn = lungs()
    drawn[50, :] = 255
    data.write("f0", mask=drawn)


def same_bytes_in_train(data: DataSet) -> None:
    shutil.copy(data.image("f0"), data.image("f1"))


def same_bytes_in_test(data: DataSet) -> None:
    shutil.copy(data.image("f0"), data.image("f5"))


def similar_film_in_test(data: DataSet) -> None:
    """A copy at half the size, brighter, and compressed by JPEG."""
    small = np.clip(film(0)[::2, ::2] * 0.8 + 40.0, 0, 255).astype(np.uint8)
    squeezed = io.BytesIO()
    Image.fromarray(small).save(squeezed, "JPEG", quality=60)
    data.write("f5", film=np.asarray(Image.open(squeezed)).copy(), mask=lungs()[::2, ::2].copy())


def similar_film_in_train(data: DataSet) -> None:
    data.write("f1", film=film(0) // 2)


def patient_twice_in_train(data: DataSet) -> None:
    data.patients["f1"] = "f0"


def patient_in_test_too(data: DataSet) -> None:
    data.patients["f5"] = "f0"


@pytest.mark.parametrize(
    ("damage", "kinds", "where"),
    [
        (cut_film, {"unreadable-film"}, "f0"),
        (lose_film, {"unreadable-film"}, "f0"),
        (cut_mask, {"unreadable-mask"}, "f0"),
        (empty_mask, {"empty-mask"}, "f0"),
        (turned_mask, {"other-aspect"}, "f0"),
        (larger_mask, {"other-size"}, "f0"),
        (orphan_mask, {"mask-without-film"}, "masks/f9.png"),
        (unlisted_film, {"film-not-listed"}, "images/f9.png"),
        (no_mask, {"film-without-mask"}, "f0"),
        (third_piece, {"many-pieces"}, "f0"),
        (speck, {"specks"}, "f0"),
        (bridge, {"one-piece"}, "f0"),
        (same_bytes_in_train, {"duplicate"}, "f0"),
        (same_bytes_in_test, {"duplicate-across-splits"}, "f0"),
        (similar_film_in_test, {"near-duplicate-across-splits"}, "f0"),
        (similar_film_in_train, set(), ""),
        (patient_twice_in_train, set(), ""),
        (patient_in_test_too, {"patient-across-splits"}, "clinic f0"),
    ],
)
def test_each_fault_gives_its_finding_only(
    data: DataSet, damage: Callable[[DataSet], None], kinds: set[str], where: str
) -> None:
    damage(data)
    report = data.report()
    assert {finding.kind for finding in report.findings} == kinds
    assert all(finding.where.endswith(where) for finding in report.findings)
    assert report.passed == (not kinds & set(ERRORS))


def test_a_rotated_mask_is_reported_with_both_sizes(data: DataSet) -> None:
    turned_mask(data)
    (finding,) = data.report().findings
    assert finding.detail == "film 80 x 96, mask 96 x 80 px"


def test_swapped_sides_and_empty_structures(data: DataSet) -> None:
    data.labels = "field_right=1;field_left=2;heart=3"
    drawn = {}
    for number, name in enumerate(data.rows):
        drawn[name] = lungs(number) // 255
        drawn[name][:, 40:] *= 2
        drawn[name][60:70, 33:47] = 3
        data.write(name, mask=drawn[name])
    assert data.report().findings == ()
    one, other = drawn["f0"], drawn["f2"]
    data.write("f0", mask=np.where(one == 3, 3, (3 - one) * (one > 0)).astype(np.uint8))
    data.write("f2", mask=np.where(other == 3, 0, other).astype(np.uint8))
    swapped, without_heart = sorted(data.report().findings, key=lambda finding: finding.where)
    assert (swapped.kind, swapped.where) == ("sides-swapped", "f0")
    # Columns 50..69 and 10..29: means 59.5 and 19.5.
    assert swapped.detail == "right_field at column 60, left_field at 20"
    assert (without_heart.kind, without_heart.where, without_heart.detail) == (
        "empty-structure",
        "f2",
        "heart",
    )


def test_a_film_with_one_labelled_lung_is_half_labelled(data: DataSet) -> None:
    data.labels = "field_right=255"
    report = data.report()
    assert {finding.kind for finding in report.errors} == {"half-labelled"}
    assert report.errors[0].detail == "only right_field"


def test_a_jpeg_mask_is_reported(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(film(0)).save(tmp_path / "images" / "a.png")
    Image.fromarray(lungs()).save(tmp_path / "masks" / "a.jpg", quality=50)
    assert "lossy-mask" in {finding.kind for finding in check(tmp_path).findings}


def test_the_report_is_plain_json(data: DataSet) -> None:
    orphan_mask(data)
    no_mask(data)
    table = json.loads(json.dumps(data.report().as_dict()))
    assert (table["errors"], table["warnings"]) == (1, 1)
    assert [finding["level"] for finding in table["findings"]] == ["error", "warning"]
    assert table["counts"] == {"clinic": {"unlabelled": 1, "train": 1, "val": 2, "test": 2}}


def test_every_kind_has_a_level_and_a_meaning() -> None:
    assert not set(ERRORS) & set(WARNINGS)
    assert Finding("specks", "f0").level == "warning"
    assert Finding("empty-mask", "f0").level == "error"
    assert Finding("empty-mask", "f0").meaning == ERRORS["empty-mask"]


def test_thumbnails_depend_on_the_film_not_on_size_brightness_or_gamma() -> None:
    one, other = ((255 * noise(seed)).astype(np.float32) for seed in (0, 1))
    own = thumbnail(one)
    assert float(own @ own) == pytest.approx(1, abs=1e-5)
    for copy in (one * 3 - 7, zoom(one, 2, order=1), zoom(one, (1, 1.4), order=1), one**0.7):
        assert float(own @ thumbnail(np.asarray(copy, np.float32))) > SAME
    for different in (other, one[:, ::-1].copy(), 255 - one):
        assert float(own @ thumbnail(different)) < 0.7
    assert not thumbnail(np.full((50, 50), 7, np.float32)).any()


def test_similar_pairs_are_reported_once() -> None:
    thumbnails = [thumbnail((255 * noise(seed)).astype(np.float32)) for seed in (0, 1, 0, 2, 1)]
    assert [pair[:2] for pair in similar_films(thumbnails)] == [(0, 2), (1, 4)]
    assert list(similar_films([])) == []


def test_equal_files_are_grouped(tmp_path: Path) -> None:
    contents = [b"aa", b"bb", b"aa", b"a", b"aa", b"bb"]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert same_bytes([*paths, tmp_path / "absent"]) == [[0, 2, 4], [1, 5]]


def test_a_real_copy_across_splits_is_found(films_root: Path) -> None:
    """Two names of the same file, one in training and one in test, and another film."""
    names = ("353889E0-A1E8-4F9E-A0B8-F24F36BCFBFB", "case_72_RX-TORACE1", "000001")
    films = [film for film in read_films(films_root / "covid") if film.id in names]
    report = check(films)
    across = [finding for finding in report.findings if finding.kind == "duplicate-across-splits"]
    assert [finding.where for finding in across] == [names[0]]
    assert "(test) = case_72_RX-TORACE1 (train)" in across[0].detail


def test_a_real_set_has_no_errors(films_root: Path) -> None:
    report = check(films_root / "openist")
    assert report.passed
    assert (report.films, report.pairs) == (137, 137)
    assert {finding.kind for finding in report.warnings} <= {"specks"}
