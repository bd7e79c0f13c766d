"""Films that depart from the DICOM standard in the way of real devices are read correctly."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    VLPhotographicImageStorage,
)

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph
from pleura.io.dicom.body_parts import another_part, is_chest
from pleura.io.dicom.received import check_received_file
from pleura.io.read import read_radiograph

ROWS, COLUMNS = 64, 48
DEPARTS = "the file departs from the DICOM standard; it could be read all the same"
PACKED = "the compressed pixels are packed otherwise than DICOM says; they were read all the same"


def ramp() -> np.ndarray:
    """(64, 48) values 0 to 3071, row by row."""
    return np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)


def made(values: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """A CR film of 16 bits, 12 of them used; `tags` add to it."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = syntax
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Rows, film.Columns = values.shape[:2]
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelRepresentation = int(values.min() < 0)
    film.PixelData = values.astype("<i2" if values.min() < 0 else "<u2").tobytes()
    film["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(film, keyword, value)
    return film


def as_bytes(film: Dataset) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the standard forbids what is tried here
        dcmwrite(file, film, enforce_file_format=True)
    return file.getvalue()


def read(values: np.ndarray, **tags: Any) -> Radiograph:
    return read_radiograph(as_bytes(made(values, **tags)))


def packed(syntax: str, data: bytes, **tags: Any) -> bytes:
    """A film whose PixelData are `data`, as they are."""
    film = made(ramp(), syntax=syntax, **tags)
    film.PixelData = data
    film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
    return as_bytes(film)


def item(described: Any, data: Any, *, vr: str = "OW") -> Dataset:
    lut = Dataset()
    lut.add_new("LUTDescriptor", "SS" if min(described or [0]) < 0 else "US", described)
    lut.add_new("LUTData", vr, data)
    return lut


def words(numbers: Any) -> bytes:
    return np.asarray(numbers, "<u2").tobytes()


EMPTY = [Dataset(), item(None, None), item([4096, 0, 16], None), item([4096, 0, 16], b"")]


@pytest.mark.parametrize("lut", [*EMPTY, item(None, words(range(4096)))])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_lut_without_a_table_is_ignored_with_a_note(keyword: str, lut: Dataset) -> None:
    film = read(ramp(), **{keyword: [lut]})
    assert np.array_equal(film.pixels, ramp())
    assert f"{keyword} holds no table; it was ignored" in film.notes


def test_other_attributes_are_used_beside_an_empty_lut() -> None:
    empty = item(None, None)
    film = read(ramp(), VOILUTSequence=[empty], WindowCenter="1500", WindowWidth="2001")
    assert np.array_equal(film.pixels, np.clip(ramp(), 499.5, 2499.5).astype(np.float32))
    film = read(ramp(), ModalityLUTSequence=[empty], RescaleSlope="2", RescaleIntercept="1")
    assert np.array_equal(film.pixels, 2 * ramp() + 1)
    second = item([4096, 0, 16], words(np.arange(4096) + 3))
    film = read(ramp(), VOILUTSequence=[empty, second])
    assert np.array_equal(film.pixels, ramp() + 3)


@pytest.mark.parametrize(
    ("described", "entries"),
    [
        ([4096, 0, 16], 4095),  # one short
        ([4096, 0, 16], 3072),
        ([0, 0, 16], 4096),  # said to hold 65536
        ([4095, 0, 16], 4096),  # one more than said
        ([4096, 0, 8], 4096),  # 16 bits said to be 8
        ([4096, 0, 99], 4096),
        ([4096, 0], 4096),
    ],
)
def test_a_lut_with_a_wrong_descriptor_is_used(described: list[int], entries: int) -> None:
    table = item(described, words(np.arange(entries) + 7))
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        assert np.array_equal(read(ramp(), **{keyword: [table]}).pixels, ramp() + 7)


@pytest.mark.parametrize("low", [0, 40_000])
def test_the_first_input_of_a_lut_has_either_sign(low: int) -> None:
    # Stored values 40000 .. 43071; as SS the descriptor can only say 40000 - 65536 = -25536.
    first = low - 65536 if low else 0
    table = item([4096, first, 16], words(np.arange(4096)))
    film = read(ramp() + low, VOILUTSequence=[table], BitsStored=16, HighBit=15)
    assert np.array_equal(film.pixels, ramp())


STEP = np.where(np.arange(4096) < 2900, 0, np.arange(4096))  # 172 of 3072 values are told apart


@pytest.mark.parametrize(
    "tags",
    [
        {"VOILUTSequence": [item([4096, 0, 16], words(STEP))]},
        {"VOILUTSequence": [item([4096, 0, 16], words(np.arange(4096) // 1024))]},  # 3 greys
        {"VOILUTSequence": [item([256, 20_000, 16], words(range(256)))]},
        {"ModalityLUTSequence": [item([4096, 0, 16], words(STEP))]},
        {"ModalityLUTSequence": [item([2, 9, 16], words([5, 6]))]},
    ],
)
def test_a_lut_that_keeps_almost_no_detail_is_ignored(tags: dict[str, Any]) -> None:
    film = read(ramp(), **tags)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == (f"{next(iter(tags))} leaves nothing to see; it was ignored",)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID", "CURVE", "LUT"])
@pytest.mark.parametrize(("centre", "width"), [("10", "5"), ("9000", "10"), ("1500", "1")])
def test_a_window_of_any_kind_that_keeps_no_detail_is_ignored(
    function: str | None, centre: str, width: str
) -> None:
    tags = {"VOILUTFunction": function} if function else {}
    film = read(ramp(), WindowCenter=centre, WindowWidth=width, **tags)
    assert np.array_equal(film.pixels, ramp())
    assert any(note.startswith("the file's window ") for note in film.notes)


@pytest.mark.parametrize(
    ("values", "stated", "vr"),
    [(-2000, 63536, "US"), (63536, -2000, "SS"), (-2000, -2000, "SS"), (63536, 63536, "US")],
)
def test_padding_stated_with_the_other_sign(values: int, stated: int, vr: str) -> None:
    pixels = ramp() - (1500 if values < 0 else 0)
    pixels[:, :12] = values
    film = made(pixels, BitsStored=16, HighBit=15)
    if values > 0:
        film.PixelData = pixels.astype("<u2").tobytes()
    film.add_new("PixelPaddingValue", vr, stated)
    pixels_read = read_radiograph(as_bytes(film))
    assert (pixels_read.pixels[:, :12] == pixels[:, 12:].min()).all()
    assert np.array_equal(pixels_read.pixels[:, 12:], pixels[:, 12:])


def test_padding_that_would_hide_the_film_is_ignored() -> None:
    film = read(ramp(), PixelPaddingValue=0, PixelPaddingRangeLimit=3000)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("PixelPaddingValue would leave nothing to see; it was ignored",)


def with_text(keyword: str, raw: bytes, **tags: Any) -> bytes:
    """A film with `raw` as the value of a text attribute, whatever the character set says."""
    mark = "Q" * (len(raw) + len(raw) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = as_bytes(made(ramp(), **{keyword: mark}, **tags))
    assert data.count(mark.encode()) == 1
    return data.replace(mark.encode(), raw.ljust(len(mark)))


TEXTS = {
    "utf-8": "Медтех".encode(),
    "latin-1": "Müller & Söhne".encode("latin-1"),
    "shift-jis": "富士フイルム表".encode("shift_jis"),
    "iso-2022": "東芝".encode("iso2022_jp"),
    "gbk": "俓小".encode("gbk"),
    "control": b"ACME\r\n\x00\x07",
    "long": b"A" * 80,
}


@pytest.mark.parametrize("charset", [None, "ISO_IR 192", "ISO-8859-1", "ISO 2022 IR 87", "KOI8"])
@pytest.mark.parametrize(
    "keyword",
    [
        *("Manufacturer", "ManufacturerModelName", "InstitutionName", "BodyPartExamined"),
        *("ViewPosition", "Laterality", "PresentationLUTShape", "VOILUTFunction", "PatientName"),
        "PixelSpacingCalibrationType",
    ],
)
def test_text_that_cannot_be_decoded_does_not_fail_a_film(
    keyword: str, charset: str | None
) -> None:
    for name, raw in TEXTS.items():
        data = with_text(keyword, raw, **({"SpecificCharacterSet": charset} if charset else {}))
        assert np.array_equal(read_radiograph(data).pixels, ramp()), name
        assert check_received_file(data).uid == "1.2.3.4"


def test_modality_is_still_checked() -> None:
    with pytest.raises(UnreadableFilm, match="Modality holds no sensible value"):
        read_radiograph(with_text("Modality", b"C\x07"))


CHESTS = """TORACE POITRINE BORSTKAS KLATKA_PIERSIOWA HRUDNIK MELLKAS AKCİĞER KEUHKOT CXR TÓRAX
PECHO PEITO LUNGE BRUSTKORB Brystet LUNGS_PORTABLE GÖĞÜS CHEST_ABDOMEN 胸部 ГРУДНАЯ_КЛЕТКА"""
OTHERS = """KNEE GENOU Schädel ABDOMEN Handgelenk RODILLA PELVIS LSPINE THORACIC_SPINE BWS KNIE
HANCHE PIED COUDE NADGARSTEK EXTREMITY LOWER_EXTREMITY HAND_RIGHT 腹部 ГОЛОВА 胸椎"""
UNSAID = "RIBCAGE RIBS WHOLEBODY TRUNK HEART SÉ JANE_ROE_4711 XYZ"


def test_words_for_parts_of_the_body_in_several_languages() -> None:
    for value in CHESTS.split():
        plain = value.replace("_", " ")
        assert (is_chest(plain), another_part(plain)) == (True, None), plain
    for value in OTHERS.split():
        assert another_part(value.replace("_", " ")), value
    for value in UNSAID.split():
        plain = value.replace("_", " ")
        assert (is_chest(plain), another_part(plain)) == (False, None), plain


@pytest.mark.parametrize("part", ["RIBCAGE", "RIBS", "WHOLEBODY", "JANE ROE 4711"])
def test_an_unknown_part_is_a_note_that_does_not_quote_it(part: str) -> None:
    film = read(ramp(), BodyPartExamined=part)
    (note,) = film.notes
    assert note == "BodyPartExamined is no word known here; the film was taken for one of the chest"


def test_force_reads_another_part_and_a_photograph() -> None:
    data = as_bytes(made(ramp(), BodyPartExamined="GENOU"))
    with pytest.raises(UnsuitableFilm, match=r"BodyPartExamined is GENOU.*--force"):
        read_radiograph(data)
    film = read_radiograph(data, photographs=True)
    assert film.notes == (
        "BodyPartExamined is GENOU; the film was read because that was asked for",
    )
    grey = ramp() // 13
    photo = np.dstack([grey, 255 - grey, np.roll(grey, 20, axis=0)]).astype(np.uint8)
    film = made(ramp(), SOPClassUID=VLPhotographicImageStorage, Modality="XC")
    film.SamplesPerPixel, film.PlanarConfiguration = 3, 0
    film.PhotometricInterpretation = "RGB"
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.PixelData = photo.tobytes()
    data = as_bytes(film)
    with pytest.raises(UnsuitableFilm, match=r"VL Photographic.*--force"):
        read_radiograph(data)
    assert "colour photograph" in read_radiograph(data, photographs=True).notes[0]
    with pytest.raises(UnsuitableFilm, match="modality CT"):
        read_radiograph(as_bytes(made(ramp(), Modality="CT")), photographs=True)


def j2k(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(
        file, "JPEG2000", irreversible=False, no_jp2=True
    )
    return file.getvalue()


DEEP = {"BitsStored": 16, "HighBit": 15}
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def items(*values: bytes) -> bytes:
    return b"".join(ITEM + len(value).to_bytes(4, "little") + value for value in values)


def test_an_encapsulated_film_may_lack_its_delimiter() -> None:
    data = packed(JPEG2000Lossless, encapsulate([j2k(ramp())]), **DEEP)
    assert data.endswith(END)
    for variant in (data[:-8], data[:-8] + bytes(8), data[:-8] + bytes(512), data[:-4]):
        film = read_radiograph(variant)
        assert np.array_equal(film.pixels, ramp())
        assert film.notes == ((DEPARTS,) if variant != data[:-4] else ())
        assert check_received_file(variant).uid == "1.2.3.4"
    for cut in (data[:-40], data[:-9]):
        with pytest.raises(UnreadableFilm, match="cut short"):
            read_radiograph(cut)


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(
    ("table", "noted"),
    [
        (b"", False),
        (bytes(4), False),
        (None, True),
        (b"\x10\0\0\0", True),
        (b"\xff\xff\xff\x7f", True),
        (bytes(4) + b"\x08\0\0\0", True),
    ],
)
def test_fragments_are_joined_whatever_their_table_of_offsets(
    parts: int, table: bytes | None, noted: bool
) -> None:
    stream = j2k(ramp())
    stream += bytes(len(stream) % 2)
    size = len(stream) // parts // 2 * 2
    pieces = [stream[n * size : (n + 1) * size if n + 1 < parts else None] for n in range(parts)]
    content = items(*([] if table is None else [table]), *pieces)
    film = read_radiograph(packed(JPEG2000Lossless, content, **DEEP))
    assert np.array_equal(film.pixels, ramp())
    assert (PACKED in film.notes) == noted


def test_an_rle_film_without_a_table_of_offsets() -> None:
    film = made(ramp())
    film.compress(RLELossless)
    film.PixelData = items(list(generate_fragments(film.PixelData))[-1])
    read_back = read_radiograph(as_bytes(film))
    assert np.array_equal(read_back.pixels, ramp())
    assert PACKED in read_back.notes


def test_a_bare_codestream_is_read() -> None:
    stream = j2k(ramp())
    stream += bytes(len(stream) % 2)
    data = packed(JPEG2000Lossless, encapsulate([stream]), **DEEP)
    length = data.rindex(b"\xe0\x7f\x10\x00OB\0\0") + 8
    film = read_radiograph(data[:length] + len(stream).to_bytes(4, "little") + stream)
    assert np.array_equal(film.pixels, ramp())
    assert PACKED in film.notes


EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


def jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.mark.parametrize("called", ["MONOCHROME1", "MONOCHROME2"])
def test_a_colour_jpeg_with_a_grey_header_is_read(called: str) -> None:
    grey = (ramp() // 13).astype(np.uint8)
    stream = encapsulate([jpeg(Image.fromarray(grey).convert("RGB"))])
    data = packed(JPEGBaseline8Bit, stream, **EIGHT, PhotometricInterpretation=called)
    film = read_radiograph(data)
    expected = 236 - grey.astype(int) if called == "MONOCHROME1" else grey
    assert np.abs(film.pixels - expected).max() <= 4
    assert "the file calls its pixels grey" in film.notes[0]


def test_a_grey_jpeg_with_a_colour_header_is_read() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    stream = encapsulate([jpeg(Image.fromarray(grey))])
    film = read_radiograph(packed(JPEGBaseline8Bit, stream, **EIGHT, **tags))
    assert np.abs(film.pixels - grey).max() <= 4
    assert "the file calls its pixels coloured" in film.notes[0]


def test_all_bits_are_read_if_the_header_states_fewer() -> None:
    data = packed(JPEG2000Lossless, encapsulate([j2k(ramp())]), **EIGHT)
    film = read_radiograph(data)
    assert np.array_equal(film.pixels, ramp())
    assert "the pixels have 16 bits, and the file says fewer; all were read" in film.notes


def test_uncompressed_colour_with_a_grey_header_is_read() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    film = made(ramp(), **EIGHT)
    film.PixelData = np.repeat(grey[..., None], 3, axis=2).tobytes()
    assert np.array_equal(read_radiograph(as_bytes(film)).pixels, grey)


@pytest.mark.parametrize("frames", [b"1 ", b"01", b"  ", b"0 ", b"1."])
def test_an_invalid_number_of_frames_means_one(frames: bytes) -> None:
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    film = made(ramp(), SOPClassUID=kind, Modality="OT", NumberOfFrames=77)
    data = as_bytes(film)
    assert data.count(b"IS\x02\x0077") == 1
    data = data.replace(b"IS\x02\x0077", b"IS\x02\x00" + frames)
    assert np.array_equal(read_radiograph(data).pixels, ramp())
    with pytest.raises(UnsuitableFilm, match="77 frames"):
        read_radiograph(as_bytes(film))


@pytest.mark.parametrize(
    ("tags", "doubts"),
    [
        ({"PatientOrientation": ["L", "F"]}, ()),
        ({"PatientOrientation": ["L", "FP"], "FieldOfViewHorizontalFlip": "YES"}, ()),
        ({"PatientOrientation": ["R", "F"]}, ("said_mirrored",)),
        ({"PatientOrientation": ["RA", ""]}, ("said_mirrored",)),
        ({"PatientOrientation": ["R", "H"]}, ("said_turned",)),
        ({"PatientOrientation": ["F", "R"]}, ("said_turned",)),
        ({"PatientOrientation": ["", ""], "FieldOfViewHorizontalFlip": "NO"}, ()),
        ({"FieldOfViewHorizontalFlip": "YES"}, ("said_mirrored",)),
        ({"FieldOfViewHorizontalFlip": "NO", "FieldOfViewRotation": "90"}, ("said_turned",)),
        ({"FieldOfViewRotation": "0"}, ()),
        ({"FieldOfViewRotation": "360"}, ()),
        (
            {"FieldOfViewHorizontalFlip": "YES", "FieldOfViewRotation": "180"},
            ("said_mirrored", "said_turned"),
        ),
    ],
)
def test_an_unusual_position_in_the_header_gives_a_doubt(
    tags: dict[str, Any], doubts: tuple[str, ...]
) -> None:
    film = read(ramp(), **tags)
    assert film.doubts == doubts
    assert np.array_equal(film.pixels, ramp())  # nothing is turned
    assert len(film.notes) == len(doubts)
