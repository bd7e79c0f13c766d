"""`pleura data check` on folders as hospitals have them: read as meant, or the fault is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.lab.data.drawn_set import film, lungs

COUNT = 4
"""Films of a set."""

COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
"""Background, the right lung, the left lung."""


def sides(number: int) -> NDArray[np.uint8]:
    """The mask of a film: 1 in the right lung, on the viewer's left, and 2 in the left lung."""
    drawn = np.minimum(lungs(number), 1)
    drawn[:, 40:] *= 2
    return drawn


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four films with masks of two values, and no file that states them."""
    for number in range(COUNT):
        save(tmp_path / "images" / f"f{number}.png", film(number))
        save(tmp_path / "masks" / f"f{number}.png", sides(number))
    return tmp_path


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def checked(run: Callable[..., Any], path: Path) -> dict[str, Any]:
    """The report of `pleura data check --json`, with the message on stderr as `message`."""
    ended = run("data", "check", path, "--json")
    return {**json.loads(ended.out), "message": ended.err}


def errors(report: dict[str, Any]) -> set[str]:
    return {found["kind"] for found in report["findings"] if found["level"] == "error"}


def write_manifest(data: Path, *rows: str, encoding: str = "utf-8") -> None:
    (data / "manifest.csv").write_bytes("\r\n".join(rows).encode(encoding))


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("utf-16", "utf-16"), ("latin-1", "latin-1"), ("with a byte order mark", "utf-8-sig")],
)
def test_a_manifest_of_windows_is_read(
    run: Callable[..., Any], data: Path, name: str, encoding: str
) -> None:
    """Backslashes, semicolons, other headings, empty rows, other words for parts, usual labels."""
    parts = ("Training", "train", "Validation", "testing")
    rows = [f"images\\f{n}.png;masks\\f{n}.png;Müller {n};{part}" for n, part in enumerate(parts)]
    head = "Image Path;Mask File;Patient ID;Subset;labels"
    labelled = [f'{row};"Right Lung=1;lung_l=2"' for row in rows]
    write_manifest(data, head, *labelled, ";;;;", "", encoding=encoding)
    report = checked(run, data)
    assert errors(report) == set(), name
    assert report["counts"] == {data.name: {"train": 2, "val": 1, "test": 1}}
    assert report["channels"] == {"left_field": COUNT, "right_field": COUNT}
    assert (report["patients"], report["unknown_patients"]) == (COUNT, 0)


def test_columns_that_are_not_used_are_named(
    run: Callable[..., Any], data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_manifest(data, "image,lung,pat", *(f"images/f{n}.png,masks/f{n}.png,a" for n in range(4)))
    ended = run("data", "check", data)
    assert ended.code == 1
    assert "error: no-mask: 1" in ended.out
    assert "columns that are not used: lung, pat; known are id, image, mask" in caplog.text


def test_a_row_with_too_many_values_is_an_error(run: Callable[..., Any], data: Path) -> None:
    write_manifest(data, "image,mask,weight", "images/f0.png,masks/f0.png,0,5")
    ended = run("data", "check", data)
    assert ended.code == 2
    assert "line 2 has 4 values for 3 columns" in ended.err


def test_films_of_one_name_in_two_folders_are_told_apart(
    run: Callable[..., Any], data: Path
) -> None:
    for folder, number in (("a", 0), ("b", 1)):
        save(data / folder / "film.png", film(number))
        save(data / folder / "mask.png", lungs(number))
    rows = (f"{folder}/film.png,{folder}/mask.png" for folder in "ab")
    write_manifest(data, "image,mask", *rows)
    ended = run("data", "split", data, "--test", 0, "--val", 0.5)
    assert sorted(row.split(",")[0] for row in ended.out.split()[1:]) == ["a_film", "b_film"]


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"right_field": [255, 0, 0], "left_field": [0, 255, 0]}, "0 is the background"),
        ({"right_field": [255, 1], "left_field": [255]}, "255 is stated for right_field and for"),
        ({"right_field": "#ff00"}, "'#ff00' is no colour; expected #rrggbb"),
        ({"right_field": [[255, 0, 0]]}, "[255, 0, 0] is no meaning of a label"),
        ({"right_field": None}, "None is no meaning of a label"),
    ],
)
def test_what_labels_json_cannot_mean_is_an_error(
    run: Callable[..., Any], data: Path, stated: dict[str, Any], message: str
) -> None:
    (data / "labels.json").write_text(json.dumps(stated))
    ended = run("data", "check", data)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_label_that_no_mask_holds_is_an_error(run: Callable[..., Any], data: Path) -> None:
    for number in range(COUNT):
        save(data / "masks" / f"f{number}.png", COLOURS[sides(number)])
    (data / "labels.json").write_text('{"right_field": "#F00", "left_field": "#00fe00"}')
    report = checked(run, data)
    assert errors(report) == {"unused-label"}
    assert {found["detail"] for found in report["findings"] if found["level"] == "error"} == {
        "left_field"
    }
    (data / "labels.json").write_text('{"right_field": "#F00", "left_field": "#0f0"}')
    assert errors(checked(run, data)) == set()


def test_masks_of_one_lung_are_an_error_if_most_are_such(
    run: Callable[..., Any], data: Path
) -> None:
    """A single mask of one lung may be right, as after the removal of the other."""
    for number in range(COUNT):
        save(data / "masks" / f"f{number}.png", lungs(number))
    one_lung = lungs(0)
    one_lung[:, 40:] = 0
    save(data / "masks" / "f0.png", one_lung)
    assert errors(checked(run, data)) == set()
    for number in range(COUNT - 1):
        one_lung[20 + number, 20] = 0  # no two films have the same mask
        save(data / "masks" / f"f{number}.png", one_lung)
    report = checked(run, data)
    assert errors(report) == {"half-labelled"}
    assert sum(found["kind"] == "half-labelled" for found in report["findings"]) == COUNT - 1


def test_exchanged_lungs_are_an_error_unless_accepted(run: Callable[..., Any], data: Path) -> None:
    (data / "labels.json").write_text('{"right_field": 2, "left_field": 1}')
    assert errors(checked(run, data)) == {"sides-swapped"}
    accepted = run("data", "check", data, "--accept", "sides-swapped")
    assert accepted.code == 0
    assert "warning: sides-swapped: 4" in accepted.out


@pytest.mark.parametrize(
    "names",
    [
        ("F0-Mask", "mask f1", "f2.mask", "F3_Lung_Mask"),
        ("Mask-f0", "f1 seg", "f2_LUNGMASK", "f3-manual"),
    ],
)
def test_the_mask_of_a_film_is_found_by_many_names(
    run: Callable[..., Any], data: Path, names: tuple[str, ...]
) -> None:
    (data / "labels.json").write_text('{"right_field": 1, "left_field": 2}')
    for number, name in enumerate(names):
        (data / "masks" / f"f{number}.png").rename(data / "masks" / f"{name}.png")
    report = checked(run, data)
    assert (report["pairs"], report["findings"]) == (COUNT, [])


@pytest.mark.parametrize("names", [("Images", "MASKS"), ("films", "mask"), ("images", "Labels")])
def test_folders_have_usual_names(
    run: Callable[..., Any], data: Path, names: tuple[str, str]
) -> None:
    (data / "labels.json").write_text('{"right_field": 1, "left_field": 2}')
    for before, after in zip(("images", "masks"), names, strict=True):
        (data / before).rename(data / after)
    report = checked(run, data)
    assert (report["pairs"], report["findings"]) == (COUNT, [])


def test_masks_of_an_unknown_format_are_named(run: Callable[..., Any], data: Path) -> None:
    (data / "labels.json").write_text('{"right_field": 1, "left_field": 2}')
    (data / "masks" / "f0.png").rename(data / "masks" / "f0.nrrd")
    (data / "masks" / "f1.txt").write_text("a note on a film that has a mask")
    report = checked(run, data)
    found = {(one["kind"], one["where"], one["detail"]) for one in report["findings"]}
    assert ("unread-mask", str(data / "masks" / "f0.nrrd"), ".nrrd is not read") in found
    assert errors(report) == {"unread-mask"}


def test_masks_whose_names_differ_in_a_separator_stay_apart(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    for number, name in enumerate(("a-1", "a_1", "b-1", "b_1")):
        save(tmp_path / "images" / f"{name}.png", film(number))
        save(tmp_path / "masks" / f"{name}.png", lungs(number))
    assert checked(run, tmp_path)["findings"] == []


def test_annotations_beside_the_films_of_each_patient_are_one_set(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    corners = {"right lung": (10, 30), "left lung": (50, 70)}
    for number in range(COUNT):
        path = tmp_path / f"P{number // 2}" / f"f{number}.png"
        save(path, film(number))
        shapes = [
            {"label": label, "shape_type": "rectangle", "points": [[x0, 20 + number], [x1, 80]]}
            for label, (x0, x1) in corners.items()
        ]
        size = {"imageHeight": 96, "imageWidth": 80, "imagePath": path.name}
        path.with_suffix(".json").write_text(json.dumps({**size, "shapes": shapes}))
    report = checked(run, tmp_path)
    assert (report["films"], report["pairs"], errors(report)) == (COUNT, COUNT, set())


def write_coco(data: Path, **changed: int) -> Path:
    """Both lungs of each film as rectangles; `changed` are values of the first annotation."""
    for path in (data / "masks").iterdir():
        path.unlink()
    (data / "masks").rmdir()
    boxes = {1: (10, 20, 30, 80), 2: (50, 20, 70, 80)}
    annotations: list[dict[str, Any]] = [
        {"image_id": n, "category_id": c, "segmentation": [[x0, y0, x1, y0, x1, y1 - n, x0, y1]]}
        for n in range(COUNT)
        for c, (x0, y0, x1, y1) in boxes.items()
    ]
    annotations[0] |= changed
    images = [{"id": n, "file_name": f"f{n}.png", "height": 96, "width": 80} for n in range(COUNT)]
    categories = [{"id": 1, "name": "right lung"}, {"id": 2, "name": "left lung"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = data / "annotations.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"category_id": 9}, "an annotation has the category_id 9, which the file does not list"),
        ({"image_id": 99}, "an annotation has the image_id 99, which the file does not list"),
    ],
)
def test_an_annotation_file_that_contradicts_itself_is_named(
    run: Callable[..., Any], data: Path, changed: dict[str, int], message: str
) -> None:
    path = write_coco(data, **changed)
    ended = run("data", "check", data)
    assert (ended.code, ended.out) == (2, "")
    assert f"{path}: annotations cannot be read ({message})" in ended.err


def test_a_damaged_annotation_file_is_named(run: Callable[..., Any], data: Path) -> None:
    path = write_coco(data)
    path.write_text(path.read_text()[:300])
    ended = run("data", "check", data)
    assert ended.code == 2
    assert f"{path}: annotations cannot be read (this JSON file is damaged" in ended.err


def test_masks_that_were_drawn_at_another_size_are_an_error(
    run: Callable[..., Any], data: Path
) -> None:
    """Each mask alone may have a border that is hard to see; most masks of a set do not."""
    path = write_coco(data)
    assert errors(checked(run, data)) == set()
    content = json.loads(path.read_text())
    for entry in content["annotations"]:
        entry["segmentation"] = [[0.4 * value for value in entry["segmentation"][0]]]
    path.write_text(json.dumps(content))
    assert "unrelated-mask" in errors(checked(run, data))


def test_every_layout_is_named_in_the_help(run: Callable[..., Any]) -> None:
    from pleura.lab.data.layouts import LAYOUTS

    text = " ".join(run("data", "check", "--help").out.replace("│", " ").split())
    assert [layout.name for layout in LAYOUTS if layout.name not in text] == []
