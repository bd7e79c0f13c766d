"""Masks of other programs are read, or a message names what is unknown and what to state."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.core.errors import DataError
from pleura.core.masks.contours import decompressed_rle, fill_outlines
from pleura.lab.data.check import check
from pleura.lab.data.film import Film, fingerprint
from pleura.lab.data.layouts import annotated, read_films, read_sets
from pleura.lab.data.layouts.structures import channel_named

HEIGHT, WIDTH = 48, 40
RIGHT, LEFT = (slice(10, 40), slice(5, 15)), (slice(10, 40), slice(25, 35))
"""Rows and columns of two rectangles, 30 x 10 px each."""

RIGHT_POINTS = [[5, 10], [15, 10], [15, 40], [5, 40]]
LEFT_POINTS = [[25, 10], [35, 10], [35, 40], [25, 40]]
"""The same as corners (x, y) on the edges of pixels."""


def save_film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.arange(WIDTH, dtype=np.uint8) * 5, (HEIGHT, 1))
    Image.fromarray(pixels).save(path)


def save_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def labelme(right: str = "right lung", left: str = "left lung") -> dict[str, Any]:
    shapes = [
        (right, "polygon", RIGHT_POINTS),
        (left, "rectangle", [LEFT_POINTS[0], LEFT_POINTS[2]]),
    ]
    return {
        **{"imagePath": "..\\images\\a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH},
        "shapes": [
            {"label": label, "shape_type": kind, "points": points} for label, kind, points in shapes
        ],
    }


def coco(
    *, file_name: str = "a.png", right: str = "Lung_R", left: str = "Lung_L"
) -> dict[str, Any]:
    flat = [np.ravel(points).tolist() for points in (RIGHT_POINTS, LEFT_POINTS)]
    return {
        "images": [{"id": 7, "file_name": file_name, "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": right}, {"id": 2, "name": left}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [flat[0]]},
            {"id": 2, "image_id": 7, "category_id": 2, "segmentation": [flat[1]]},
        ],
    }


CVAT = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><id>1</id></job></meta>
<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}">
<polygon label="right lung" source="manual" points="5.0,10.0;15.0,10.0;15.0,40.0;5.0,40.0"/>
<mask label="left lung" rle="0, 300" left="25" top="10" width="10" height="30"/>
</image></annotations>
"""


def require_both_lungs(film: Film) -> None:
    targets = film.read_labels().targets
    for channel, place in (("right_field", RIGHT), ("left_field", LEFT)):
        expected = np.zeros((HEIGHT, WIDTH), np.bool_)
        expected[place] = True
        assert np.array_equal(targets[channel], expected), channel


def write_labelme_beside(root: Path) -> None:
    save_json(root / "images" / "a.json", labelme())


def write_labelme_in_masks(root: Path) -> None:
    save_json(root / "masks" / "a.json", labelme())


def write_coco_of_cvat(root: Path) -> None:
    save_json(root / "annotations" / "instances_default.json", coco(file_name="a.dcm.png"))
    (root / "images" / "a.png").rename(root / "images" / "a.dcm.png")


def write_coco_in_the_folder(root: Path) -> None:
    save_json(root / "coco.json", coco(file_name="elsewhere/a.jpg"))


def write_cvat(root: Path) -> None:
    (root / "annotations.xml").write_text(CVAT)


def write_nnunet(root: Path) -> None:
    (root / "imagesTr").mkdir()
    (root / "images" / "a.png").rename(root / "imagesTr" / "a_0000.png")
    (root / "images").rmdir()
    (root / "labelsTr").mkdir()
    Image.fromarray(label_map()).save(root / "labelsTr" / "a.png")
    labels = {"background": 0, "right lung": 1, "left_lung": 2}
    save_json(root / "dataset.json", {"labels": labels, "file_ending": ".png"})


def write_nnunet_of_version_1(root: Path) -> None:
    write_nnunet(root)
    save_json(root / "dataset.json", {"labels": {"0": "bg", "1": "right lung", "2": "left lung"}})


def write_colours(root: Path) -> None:
    save_colours(root / "masks" / "a.png")
    save_json(root / "labels.json", {"right_field": "#FF0000", "left_field": ["#00ff00", 2]})


def write_values(root: Path) -> None:
    (root / "masks").mkdir()
    np.save(root / "masks" / "A_Label.npy", label_map())
    save_json(root / "labels.json", {"right_field": 1, "left_field": [2, "links"]})


def write_manifest_of_colours(root: Path) -> None:
    save_colours(root / "m.png")
    rows = "Image Path;Mask;Labels\nimages/a.png;m.png;right_field=#ff0000\nimages/ä.png;;\n"
    save_film(root / "images" / "ä.png")
    text = rows.replace("#ff0000", '#ff0000;left_field=#00FF00"').replace("right_", '"right_')
    (root / "manifest.csv").write_bytes(text.encode("latin-1"))


def write_manifest_of_annotations(root: Path) -> None:
    save_json(root / "all.json", coco(right="Lunge rechts", left="Lunge links"))
    labels = "right_field=Lunge rechts;left_field=lunge LINKS"
    (root / "manifest.csv").write_text(f"id,image,mask,labels\na,images/a.png,all.json,{labels}\n")


def label_map() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[RIGHT], labels[LEFT] = 1, 2
    return labels


def save_colours(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    Image.fromarray(colours[label_map()]).save(path)


@pytest.mark.parametrize(
    "write",
    [
        write_labelme_beside,
        write_labelme_in_masks,
        write_coco_of_cvat,
        write_coco_in_the_folder,
        write_cvat,
        write_nnunet,
        write_nnunet_of_version_1,
        write_colours,
        write_values,
        write_manifest_of_colours,
        write_manifest_of_annotations,
    ],
)
def test_masks_of_other_programs(tmp_path: Path, write: Callable[[Path], None]) -> None:
    save_film(tmp_path / "images" / "a.png")
    write(tmp_path)
    films = read_films(tmp_path)
    require_both_lungs(films[0])
    assert films[0].id in ("a", "a.dcm")
    unused = {"mask-without-film", "film-without-mask"}
    kinds = {finding.kind for finding in check(films).errors}
    assert not kinds & unused


def write_unknown_names(root: Path) -> None:
    save_json(root / "images" / "a.json", labelme("Lunge rechts", "Lunge links"))


def write_unknown_values(root: Path) -> None:
    write_nnunet(root)
    save_json(root / "dataset.json", {"labels": {"background": 0, "foreground": 1}})


def write_a_line(root: Path) -> None:
    content = labelme()
    content["shapes"][0]["shape_type"] = "linestrip"
    save_json(root / "images" / "a.json", content)


def write_damage(root: Path) -> None:
    save_json(root / "images" / "a.json", labelme())
    save_json(root / "masks" / "b.json", {"shapes": [{}], "imagePath": "b.png"})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_unknown_names, "labels 'Lunge rechts', 'Lunge links' is unknown; .*labels.json"),
        (write_unknown_values, "label 'foreground' is unknown; .*labels.json"),
        (write_a_line, "'linestrip' of 'right lung' has no outline; expected polygon"),
        (write_damage, "b.json: .*damaged"),
    ],
)
def test_unreadable_files_are_named(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    save_film(tmp_path / "images" / "a.png")
    write(tmp_path)
    with pytest.raises(DataError, match=message):
        [film.read_labels() for film in read_films(tmp_path)]


def test_colours_without_a_meaning_are_named(tmp_path: Path) -> None:
    save_film(tmp_path / "images" / "a.png")
    save_colours(tmp_path / "masks" / "a.png")
    (finding,) = [one for one in check(tmp_path).errors if one.kind == "several-values"]
    assert finding.detail == "a.png holds #00ff00, #ff0000; all of them count"
    assert "labels.json" in finding.meaning


def test_names_that_are_left_out_are_reported(tmp_path: Path) -> None:
    save_film(tmp_path / "images" / "a.png")
    save_json(tmp_path / "images" / "a.json", labelme("lungs", "tube"))
    save_json(tmp_path / "labels.json", {"field": "lungs"})
    (film,) = read_films(tmp_path)
    assert film.channels == {"field"}
    kinds = {one.kind: one.detail for one in check([film]).findings}
    assert kinds["undeclared-values"] == "a.json holds tube; none of them is used"


def test_annotations_without_a_film_are_an_error(tmp_path: Path) -> None:
    save_film(tmp_path / "images" / "a.png")
    content = coco()
    content["images"].append({**content["images"][0], "id": 8, "file_name": "b.png"})
    content["annotations"].append({**content["annotations"][0], "image_id": 8})
    save_json(tmp_path / "coco.json", content)
    errors = [one for one in check(tmp_path).errors if one.kind == "mask-without-film"]
    assert [(Path(one.where).name, one.detail) for one in errors] == [("coco.json", "b.png")]


def test_a_mask_of_labelme_is_a_picture_of_its_box(tmp_path: Path) -> None:
    patch = BytesIO()
    Image.new("1", (10, 30), 1).save(patch, "PNG")
    content = labelme()
    content["shapes"] = [
        {
            **{"label": "right lung", "shape_type": "mask", "points": [[5, 10], [14, 39]]},
            "mask": base64.b64encode(patch.getvalue()).decode(),
        },
        {"label": "left lung", "shape_type": "circle", "points": [[30, 20], [30, 23]]},
    ]
    save_film(tmp_path / "a.png")
    save_json(tmp_path / "a.json", content)
    targets = read_films(tmp_path)[0].read_labels().targets
    assert targets["right_field"][RIGHT].all()
    assert targets["right_field"].sum() == 300
    # Pixel centres within 3 px of a corner of the grid: 4 x (3 + 3 + 2) = 32 of 9 pi = 28.3.
    # By rows of one quarter, centres at 0.5, 1.5, 2.5: columns up to 2.96, 2.60, 1.66 -> 3, 3, 2.
    assert targets["left_field"].sum() == 32


def test_an_outline_between_pixels_is_drawn_by_their_centres() -> None:
    # The triangle (0, 0), (4, 0), (0, 4): the centre (x, y) is inside if x + y < 4. In the row
    # with y = 0.5 these are x = 0.5, 1.5, 2.5.
    mask = fill_outlines([np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])], 4, 4)
    assert mask.sum(axis=1).tolist() == [3, 2, 1, 0]


def test_compressed_run_lengths() -> None:
    # The string of pycocotools' own example, of a mask of 9 x 10 px.
    assert decompressed_rle("61X13mN000`0") == [6, 1, 40, 4, 5, 4, 5, 4, 21]
    for damaged in ("6 1", "61X"):
        with pytest.raises(ValueError, match="compressed run lengths"):
            decompressed_rle(damaged)


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("Right lung", "right_field"),
        ("LUNG-L", "left_field"),
        ("lungs", "field"),
        ("Left lung, whole", "left_whole"),
        ("Heart", "heart"),
        ("right_whole", "right_whole"),
        ("ignore", "ignore"),
        ("right upper lobe of the lung", None),
        ("right", None),
        ("clavicle", None),
    ],
)
def test_usual_names(name: str, channel: str | None) -> None:
    assert channel_named(name) == channel


def test_one_split_for_several_sets(tmp_path: Path) -> None:
    for root, stem in (("one", "a"), ("two", "b")):
        save_film(tmp_path / root / "images" / f"{stem}.png")
        (tmp_path / root / "masks").mkdir()
        np.save(tmp_path / root / "masks" / f"{stem}_labels.npy", label_map())
    split = tmp_path / "split.csv"
    split.write_text("id,split\na,train\nb,val\n")
    roots = [tmp_path / "one", tmp_path / "two"]
    assert [film.split for film in read_sets(roots, split=split)] == ["train", "val"]
    save_film(tmp_path / "two" / "images" / "a.png")
    with pytest.raises(DataError, match=r"names films by id, but several data sets have"):
        read_sets(roots, split=split)


def test_the_meaning_of_a_label_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    save_film(tmp_path / "images" / "a.png")
    save_json(tmp_path / "images" / "a.json", labelme("one", "two"))
    save_json(tmp_path / "labels.json", {"right_field": "one", "left_field": "two"})
    before = fingerprint(read_films(tmp_path))
    save_json(tmp_path / "labels.json", {"right_field": "two", "left_field": "one"})
    assert fingerprint(read_films(tmp_path)) != before


def test_one_annotation_file_of_many_rows_is_indexed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, rows = coco(), ["id,image,mask"]
    content["images"] = [
        {"id": 7 + number, "file_name": f"f{number}.png", "height": HEIGHT, "width": WIDTH}
        for number in range(30)
    ]
    content["annotations"] = [
        {**entry, "image_id": 7 + number}
        for number in range(30)
        for entry in content["annotations"]
    ]
    save_json(tmp_path / "all.json", content)
    for number in range(30):
        save_film(tmp_path / f"f{number}.png")
        rows.append(f"f{number},f{number}.png,all.json")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    reads: list[Path] = []
    read = annotated.read_annotations
    monkeypatch.setattr(
        annotated, "read_annotations", lambda path: reads.append(path) or read(path)
    )
    films = read_films(tmp_path)
    assert [len(film.masks) for film in films] == [2] * 30
    assert reads == [tmp_path / "all.json"]
