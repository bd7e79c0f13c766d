"""Every layout, with small files in the encoding of the originals, and with the real sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import DataError, UnreadableFilm, UsageError
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import LAYOUTS, read_films
from pleura.lab.data.layouts.public_sets.jsrt import read_raw


def film(height: int = 48, width: int = 40) -> NDArray[np.uint8]:
    """A ramp: 40 greys, brighter to the right."""
    return np.tile(np.arange(width, dtype=np.uint8) * 5, (height, 1))


def mask(first: int, last: int, height: int = 48, width: int = 40) -> NDArray[np.uint8]:
    """255 in rows 10..39 of columns `first`..`last` - 1."""
    drawn = np.zeros((height, width), np.uint8)
    drawn[10:40, first:last] = 255
    return drawn


RIGHT, LEFT = mask(5, 15), mask(25, 35)
"""The right lung lies on the viewer's left."""


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def by_id(films: list[Film]) -> dict[str, Film]:
    return {film.id: film for film in films}


def areas(one: Film) -> dict[str, int]:
    return {name: int(target.sum()) for name, target in one.read_labels().targets.items()}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Three films of the 800-film download: both ways to name a mask, and none."""
    root = tmp_path / "Lung Segmentation"
    for name in ("CHNCXR_0001_0", "CHNCXR_0340_1", "MCUCXR_0003_1"):
        save(root / "CXR_png" / f"{name}.png", film())
    save(root / "masks" / "CHNCXR_0001_0_mask.png", RIGHT | LEFT)
    save(root / "masks" / "MCUCXR_0003_1.png", RIGHT)
    (root / "CXR_png" / "Thumbs.db").write_bytes(b"litter")
    (root / "masks" / "._MCUCXR_0003_1.png").write_bytes(b"a resource fork of macOS")
    return root


def test_shenzhen_montgomery(mixed: Path) -> None:
    films = by_id(read_films(mixed))
    assert list(films) == ["CHNCXR_0001_0", "CHNCXR_0340_1", "MCUCXR_0003_1"]
    shenzhen, bare, montgomery = films.values()
    assert (shenzhen.source, shenzhen.condition) == ("shenzhen", "normal")
    assert (bare.source, bare.condition, bare.masks) == ("shenzhen", "tuberculosis", ())
    assert (montgomery.source, montgomery.condition) == ("montgomery", "tuberculosis")
    assert areas(shenzhen) == {"field": 2 * 30 * 10}
    assert areas(montgomery) == {"field": 30 * 10}
    assert {film.split for film in films.values()} == {None}
    assert [film.patient for film in films.values()] == list(films)


def test_the_real_download_has_800_films_704_masks_and_96_without(films_root: Path) -> None:
    films = read_films(films_root / "shenzhen_montgomery", layout="shenzhen-montgomery")
    assert len(films) == 800
    assert sum(bool(film.masks) for film in films) == 704
    assert sum(film.source == "montgomery" for film in films) == 138
    listed = by_id(read_films(films_root / "shenzhen_montgomery", layout="manifest"))
    for film in films:
        other = listed[film.id]
        assert (film.image, film.masks) == (other.image, other.masks)
        assert (film.source, film.condition) == (other.source, other.condition)


def test_the_published_split_of_the_real_download(films_root: Path) -> None:
    path = films_root / "shenzhen_montgomery"
    films = read_films(path, layout="shenzhen-montgomery", split="shenzhen-montgomery-published")
    parts = [film.split for film in films]
    assert [parts.count(name) for name in ("train", "val", "test", None)] == [506, 57, 141, 96]
    own = {film.id: film.split for film in read_films(path) if film.channels}
    assert {film.id: film.split for film in films if film.split} == own


@pytest.mark.parametrize("patients_left", ["leftMask", "rightMask"])
def test_montgomery_masks_are_of_the_patients_sides(tmp_path: Path, patients_left: str) -> None:
    patients_right = {"leftMask": "rightMask", "rightMask": "leftMask"}[patients_left]
    for name in ("MCUCXR_0001_0", "MCUCXR_0104_1"):
        save(tmp_path / "CXR_png" / f"{name}.png", film())
        save(tmp_path / "ManualMask" / patients_left / f"{name}.png", LEFT)
        save(tmp_path / "ManualMask" / patients_right / f"{name}.png", RIGHT)
    films = read_films(tmp_path)
    assert [film.condition for film in films] == ["normal", "tuberculosis"]
    assert {film.source for film in films} == {"montgomery"}
    for item in films:
        targets = item.read_labels().targets
        assert np.array_equal(targets["right_field"], RIGHT > 0)
        assert np.array_equal(targets["left_field"], LEFT > 0)


def test_montgomery_names_the_folder_that_is_missing(tmp_path: Path) -> None:
    save(tmp_path / "CXR_png" / "MCUCXR_0001_0.png", film())
    with pytest.raises(DataError, match="leftMask: no such folder"):
        read_films(tmp_path, layout="montgomery")


@pytest.mark.parametrize("masks", ["mask", "masks", "mask/mask"])
def test_shenzhen_finds_masks_in_the_folders_of_their_archive(tmp_path: Path, masks: str) -> None:
    save(tmp_path / "CXR_png" / "CHNCXR_0001_0.png", film())
    save(tmp_path / "CXR_png" / "CHNCXR_0002_0.png", film())
    save(tmp_path / masks / "CHNCXR_0002_0_mask.png", RIGHT)
    first, second = read_films(tmp_path)
    assert (first.masks, areas(second)) == ((), {"field": 300})


def test_shenzhen_without_masks_is_read(tmp_path: Path) -> None:
    save(tmp_path / "CXR_png" / "CHNCXR_0001_0.png", film())
    assert [film.masks for film in read_films(tmp_path)] == [()]


def raw(value_at: dict[tuple[int, int], int], fill: int = 1000) -> bytes:
    """A JSRT film: 2048 x 2048 numbers of 16 bits, the big end first, no header."""
    numbers = np.full((2048, 2048), fill, ">u2")
    for place, value in value_at.items():
        numbers[place] = value
    return numbers.tobytes()


@pytest.fixture
def jsrt(tmp_path: Path) -> Path:
    """Two films of JSRT beside SCR's folders, all in their original encodings."""
    films = tmp_path / "All247images"
    films.mkdir()
    (films / "JPCLN001.IMG").write_bytes(raw({(0, 1): 0, (2, 0): 4095}))
    (films / "JPCNN002.IMG").write_bytes(raw({}))
    for fold, name in (("fold1", "JPCLN001"), ("fold2", "JPCNN002")):
        for number, structure in enumerate(("left lung", "right lung", "heart", "left clavicle")):
            drawn = np.zeros((1024, 1024), np.uint8)
            drawn[100:200, 700 - 300 * number : 720 - 300 * number] = 255
            save(tmp_path / "scratch" / fold / "masks" / structure / f"{name}.gif", drawn)
    return tmp_path


def test_jsrt(jsrt: Path) -> None:
    nodule, normal = read_films(jsrt)
    assert (nodule.id, nodule.condition, nodule.split) == ("JPCLN001", "nodule", "train")
    assert (normal.id, normal.condition, normal.split) == ("JPCNN002", "normal", "test")
    labels = nodule.read_labels()
    assert labels.size == (1024, 1024)
    assert areas(nodule) == {"right_field": 2000, "left_field": 2000, "heart": 2000}
    assert labels.targets["left_field"][150, 710]  # the patient's left, on the viewer's right
    assert labels.targets["right_field"][150, 410]


def test_a_raw_film_is_inverted_so_that_dense_is_bright(jsrt: Path) -> None:
    decoded = read_films(jsrt)[0].read_image()
    assert decoded.size == (2048, 2048)
    # 1000 is 0x03E8: read with the little end first it would be 59395.
    assert decoded.pixels[1, 1] == 4095 - 1000
    assert decoded.pixels[0, 1] == 4095  # 0: unblackened film, the densest
    assert decoded.pixels[2, 0] == 0
    assert decoded.spacing is not None
    assert (decoded.spacing.row_mm, decoded.spacing.col_mm) == (0.175, 0.175)


def test_a_raw_film_of_another_size_or_byte_order_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "JPCLN001.IMG"
    cut.write_bytes(raw({})[:-2])
    with pytest.raises(UnreadableFilm, match="8388606 bytes, but a raw JSRT film has 8388608"):
        read_raw(cut)
    swapped = tmp_path / "JPCLN003.IMG"
    swapped.write_bytes(np.full((2048, 2048), 1000, "<u2").tobytes())
    with pytest.raises(UnreadableFilm, match="59395, more than 12 bits"):
        read_raw(swapped)
    with pytest.raises(UnreadableFilm, match="cannot be read"):
        read_raw(tmp_path / "JPCLN005.IMG")


def test_a_gif_mask_is_read_by_its_greys_not_by_its_palette(tmp_path: Path) -> None:
    picture = Image.fromarray((RIGHT == 0).astype(np.uint8), "L").convert("P")
    picture.putdata((RIGHT == 0).astype(np.uint8).ravel().tolist())
    picture.putpalette([255, 255, 255, 0, 0, 0])  # number 0 is white: the lung
    save(tmp_path / "images" / "a.png", film())
    (tmp_path / "masks").mkdir()
    picture.save(tmp_path / "masks" / "a.gif")
    assert areas(read_films(tmp_path)[0]) == {"field": 300}


def test_a_16_bit_mask_keeps_values_beyond_a_byte(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", film())
    deep = RIGHT.astype(np.uint16) // 255 * 256  # 256 is 0 in a byte
    (tmp_path / "masks").mkdir()
    Image.fromarray(deep).save(tmp_path / "masks" / "a.png")
    assert areas(read_films(tmp_path)[0]) == {"field": 300}


def test_folder(tmp_path: Path) -> None:
    root = tmp_path / "clinic"
    for name in ("a.jpg", "b.png", "c.bmp"):
        save(root / "images" / name, film())
    save(root / "masks" / "a.png", RIGHT)
    save(root / "masks" / "b_mask.tif", RIGHT | LEFT)
    films = by_id(read_films(root))
    assert {film.source for film in films.values()} == {"clinic"}
    assert [len(film.masks) for film in films.values()] == [1, 1, 0]
    assert areas(films["b"]) == {"field": 600}


def test_folder_refuses_masks_that_belong_to_no_film(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", film())
    save(tmp_path / "masks" / "lung-a.png", RIGHT)
    with pytest.raises(DataError, match=r"1 masks, none named after a film \(e.g. lung-a.png\)"):
        read_films(tmp_path)
    save(tmp_path / "images" / "a.jpg", film())
    with pytest.raises(DataError, match=r"a.jpg and a.png have the same stem"):
        read_films(tmp_path)


def manifest(folder: Path, *lines: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")  # as spreadsheets save it
    return path


def test_manifest_labels_by_value_with_ignored_areas(tmp_path: Path) -> None:
    values = np.zeros((48, 40), np.uint8)
    values[10:40, 5:15], values[10:40, 25:35], values[0:4, 0:4] = 1, 2, 9
    save(tmp_path / "m" / "a.png", values)
    save(tmp_path / "a.png", film())
    path = manifest(
        tmp_path,
        "id,image,mask,split,patient,labels,condition,width,height",
        "a,a.png,m/a.png,test,p1,field_right=1;left_field=2;ignore=9,mild,40,48",
        "b,a.png,,unlabelled,,,,,",
    )
    assert by_id(read_films(path)).keys() == by_id(read_films(tmp_path)).keys() == {"a", "b"}
    first, second = read_films(tmp_path)
    labels = first.read_labels()
    assert areas(first) == {"right_field": 300, "left_field": 300}
    assert labels.ignore is not None
    assert labels.ignore.sum() == 16
    assert (first.split, first.patient, first.condition) == ("test", "p1", "mild")
    assert (second.split, second.patient, second.channels) == ("unlabelled", "", frozenset())
    with pytest.raises(DataError, match="film has no mask"):
        second.read_labels()


def test_manifest_with_a_file_for_each_structure(tmp_path: Path) -> None:
    for name, pixels in (("a", film()), ("r", RIGHT), ("l", LEFT)):
        save(tmp_path / f"{name}.png", pixels)
    manifest(
        tmp_path,
        "id,image,mask_right_field,mask_left_field,mask_heart,source",
        "a,a.png,r.png,l.png,,north",
    )
    (one,) = read_films(tmp_path)
    assert one.source == "north"
    assert areas(one) == {"right_field": 300, "left_field": 300}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,picture", "a,b"], "column image missing; it has the columns id, picture"),
        (["id,image"], "no row at all; expected one row a film"),
        (["id,image", ",a.png"], "a row without id"),
        (["id,image,mask,labels", "a,a.png,m.png,ribs"], "film a: .*unknown label 'ribs'"),
        (["id,image,mask,labels", "a,a.png,m.png,field=x"], "film a: label 'field=x'"),
        (["id,image,weight", "a,a.png,0"], "film a: weight '0': expected a number above 0"),
        (["id,image,weight", "a,a.png,much"], "film a: weight 'much': expected a number"),
        (["id,image", "a,a.png", "a,b.png"], "1 ids occur more than once"),
    ],
)
def test_manifest_errors_name_the_fault(tmp_path: Path, lines: list[str], message: str) -> None:
    manifest(tmp_path, *lines)
    with pytest.raises(DataError, match=message):
        read_films(tmp_path)


def test_auto_finds_a_set_one_folder_down_as_archives_unpack(mixed: Path) -> None:
    assert len(read_films(mixed.parent)) == 3
    save(mixed.parent / "other" / "images" / "a.png", film())
    save(mixed.parent / "other" / "masks" / "a.png", RIGHT)
    with pytest.raises(DataError, match=r"several data sets here: .*shenzhen-montgomery.*folder"):
        read_films(mixed.parent)


def test_auto_lists_the_known_layouts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no layout recognised") as raised:
        read_films(tmp_path)
    for layout in LAYOUTS:
        assert f"{layout.name}: {layout.expects}" in str(raised.value)
    with pytest.raises(UsageError, match="unknown layout 'dicom'; known are"):
        read_films(tmp_path, layout="dicom")
    with pytest.raises(DataError, match="no such folder or manifest"):
        read_films(tmp_path / "nowhere")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="no film here; layout folder expects images/"):
        read_films(tmp_path)


def test_a_split_must_fit_the_films(mixed: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("id,split\nCHNCXR_0001_0,train\nMCUCXR_0003_1,test\n")
    assert [film.split for film in read_films(mixed, split=table)] == ["train", None, "test"]
    with pytest.raises(DataError, match="702 of its 704 ids are not among the 3 films"):
        read_films(mixed, split="shenzhen-montgomery-published")
    for text, message in (
        ("id,part\na,train\n", "expected a CSV with columns id and split"),
        ("id,split\nCHNCXR_0001_0,schooling\n", "is in 'schooling'; known are train, val, test"),
        ("id,split\nx,train\nx,test\n", "x is in two parts"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            read_films(mixed, split=table)
    with pytest.raises(UsageError, match="published are shenzhen-montgomery-published"):
        read_films(mixed, split="no-such-split")


def test_a_manifest_with_other_headings_and_separators_is_read(tmp_path: Path) -> None:
    """Semicolons, Latin-1, other headings, and no ids."""
    text = (
        "Image Path;Mask-Path;PatientID;Diagnosis\r\nfilme/größe.png;masken/größe.png;p1;üblich\r\n"
    )
    (tmp_path / "films.csv").write_bytes(text.encode("latin-1"))
    (film,) = read_films(tmp_path / "films.csv")
    assert (film.id, film.patient, film.condition) == ("größe", "p1", "üblich")
    assert film.image == tmp_path / "filme" / "größe.png"
    assert [part.path for part in film.masks] == [tmp_path / "masken" / "größe.png"]


def test_an_exact_heading_comes_before_another_name_for_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("filename,image,id\nwrong.png,right.png,a\n")
    (film,) = read_films(tmp_path)
    assert film.image == tmp_path / "right.png"


def test_masks_are_known_by_usual_names_in_nested_folders(tmp_path: Path) -> None:
    names = {"a": "A_MASK.png", "b": "mask_b.png", "c": "c_seg.png", "d": "d_segmentation.png"}
    for number, (film, mask) in enumerate(names.items()):
        for part, name in (("images", f"{film}.png"), ("masks", mask)):
            folder = tmp_path / part / ("deep" if number > 1 else "")
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 9).save(folder / name)
    films = read_films(tmp_path, layout="folder")
    assert [film.id for film in films] == ["a", "b", "deep_c", "deep_d"]
    named = {film.id[-1]: [part.path.name for part in film.masks] for film in films}
    assert named == {film: [mask] for film, mask in names.items()}


def test_dicom_films_need_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in ("IM0001", "1.2.840.7"):
        (tmp_path / "images" / name).write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "images" / "README").write_text("no film")
    assert [film.id for film in read_films(tmp_path)] == ["1.2.840.7", "IM0001"]
