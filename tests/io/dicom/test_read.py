from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.dicom.decode.codecs import decoders
from pleura.io.read import read_here, read_radiograph

NAME = "Secretname^Person"
ROWS, COLUMNS = 64, 48


def ramp(*, low: int = 0, step: int = 1) -> np.ndarray:
    """(64, 48) values low, low + step, ... row by row: 3072 of them."""
    return low + step * np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)


def dataset(values: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """A CR film of 16 bits, 12 of them used; `tags` add to it or, with None, take away."""
    signed = np.issubdtype(values.dtype, np.signedinteger) and values.min() < 0
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID = ComputedRadiographyImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.PatientName = NAME
    made.PatientID = NAME
    made.Modality = "CR"
    made.BodyPartExamined = "CHEST"
    made.ViewPosition = "PA"
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = int(signed)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    made.PixelData = values.astype(f"{order}{'i' if signed else 'u'}2").tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def written(values: np.ndarray, **tags: Any) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests want what the standard forbids
        dcmwrite(file, dataset(values, **tags), enforce_file_format=True)
    return file.getvalue()


def read(values: np.ndarray, **tags: Any) -> Any:
    return read_radiograph(written(values, **tags))


def lut(first: int, depth: int, data: list[int]) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(data) % 2**16, first, depth]
    item.LUTData = data
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_stored_values_are_read_without_identity() -> None:
    film = read(ramp())
    assert np.array_equal(film.pixels, ramp())
    assert film.pixels.dtype == np.float32
    assert (film.view, film.spacing, film.notes) == ("PA", None, ())
    assert NAME not in repr(film)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_uncompressed_syntax(syntax: str) -> None:
    assert np.array_equal(read(ramp(), syntax=syntax).pixels, ramp())


def test_uncompressed_films_are_read_in_several_threads_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    kinds = [
        {"syntax": syntax, "RescaleSlope": slope, "PhotometricInterpretation": photometric}
        for syntax in syntaxes
        for slope in (1, 3)
        for photometric in ("MONOCHROME1", "MONOCHROME2")
    ]
    films = [written(ramp(step=1), **kind) for kind in kinds] * 10
    expected = [read_radiograph(film) for film in films]
    together = threading.Barrier(2)

    def contrast(_pixels: np.ndarray) -> None:
        together.wait(timeout=30)  # it breaks if the other thread cannot be here too

    with ThreadPoolExecutor(2) as pool, monkeypatch.context() as patch:
        patch.setattr("pleura.io.dicom.read.check_contrast", contrast)
        list(pool.map(read_radiograph, films[:2]))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_radiograph, films))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.notes == other.notes


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_lossless_compression(syntax: str) -> None:
    made = dataset(ramp())
    made.compress(syntax)
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    assert np.array_equal(read_radiograph(file.getvalue()).pixels, ramp())


def compressed(syntax: str, codestream: bytes, **tags: Any) -> bytes:
    made = dataset(ramp(), syntax=syntax, **tags)
    made.PixelData = encapsulate([codestream])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def test_jpeg_and_jpeg_2000_written_by_another_library() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    jpeg, jpeg_2000 = BytesIO(), BytesIO()
    Image.fromarray(grey).save(jpeg, "JPEG", quality=95)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    data = compressed(JPEGBaseline8Bit, jpeg.getvalue(), **eight)
    assert np.abs(read_radiograph(data).pixels - grey).max() <= 4
    deep = Image.fromarray(ramp().astype(np.uint16))
    deep.save(jpeg_2000, "JPEG2000", irreversible=False, no_jp2=True)
    data = compressed(JPEG2000Lossless, jpeg_2000.getvalue(), BitsStored=16, HighBit=15)
    assert np.array_equal(read_radiograph(data).pixels, ramp())


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_no_preamble_and_no_file_meta(syntax: str) -> None:
    complete = written(ramp(), syntax=syntax)
    group_2 = 12 + int.from_bytes(complete[140:144], "little")
    data = complete[132 + group_2 :]
    assert data[:2] in (b"\x08\0", b"\0\x08")
    assert np.array_equal(read_radiograph(data).pixels, ramp())


def test_monochrome1_is_inverted_once() -> None:
    # 0 .. 3071, bright is low: v -> 0 + 3071 - v
    film = read(ramp(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(film.pixels, 3071 - ramp())
    film = read(ramp(), PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert np.array_equal(film.pixels, 3071 - ramp())
    assert film.notes == ()


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_a_contradicting_lut_shape_is_noted(photometric: str, shape: str) -> None:
    film = read(ramp(), PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    expected = 3071 - ramp() if photometric == "MONOCHROME1" else ramp()
    assert np.array_equal(film.pixels, expected)
    assert "contradicts" in film.notes[0]


def test_signed_values() -> None:
    values = ramp(low=-1500).astype(np.int16)
    assert np.array_equal(read(values).pixels, values)


def test_unused_bits_are_removed() -> None:
    noisy = ramp() | 0xA000  # above the 12 bits that count
    assert np.array_equal(read(noisy).pixels, ramp())
    negative = ramp(low=-1500) & 0x0FFF  # signed in 12 bits, the upper 4 left 0
    film = read(negative, PixelRepresentation=1)
    assert np.array_equal(film.pixels, ramp(low=-1500))


def test_high_bit_above_the_rest() -> None:
    # 12 bits that end at bit 15: stored 16 times as large, with noise in the 4 bits below.
    film = read(ramp() * 16 + 9, HighBit=15)
    assert np.array_equal(film.pixels, ramp())
    signed = read(ramp(low=-1500).astype(np.int16) * 16 + 9, HighBit=15)
    assert np.array_equal(signed.pixels, ramp(low=-1500))
    # 10 bits between: bits 2 to 11
    between = (ramp() // 3) * 4 + 3 + 0x7000
    film = read(between, BitsStored=10, HighBit=11)
    assert np.array_equal(film.pixels, ramp() // 3)


def test_rescale() -> None:
    film = read(ramp(), RescaleSlope="0.5", RescaleIntercept="-100")
    assert np.allclose(film.pixels, ramp() * 0.5 - 100)
    assert np.array_equal(read(ramp(), RescaleSlope="2").pixels, ramp() * 2)


def test_a_rescale_to_infinite_values_is_refused() -> None:
    with pytest.raises(UnsuitableFilm, match="not finite numbers"):
        read(ramp(), RescaleSlope="1E+38", RescaleIntercept="0")


def test_modality_lut() -> None:
    # 1001 entries from stored value 500 on: v -> 2 (v - 500), ends held
    table = lut(500, 16, list(range(0, 2002, 2)))
    film = read(ramp(), ModalityLUTSequence=[table])
    assert np.array_equal(film.pixels, np.clip(2 * (ramp() - 500), 0, 2000))


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_voi_lut_is_applied(vr: str, syntax: str) -> None:
    squares = [min(65535, n * n // 200) for n in range(4096)]
    table = lut(0, 16, squares)
    if vr == "OW":
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        table.add_new("LUTData", "OW", np.array(squares, f"{order}u2").tobytes())
    film = read(ramp(), syntax=syntax, VOILUTSequence=[table], WindowCenter="5", WindowWidth="2")
    assert np.array_equal(film.pixels, ramp() ** 2 // 200)


def test_8_bit_lut_data_packed_in_bytes() -> None:
    table = lut(0, 8, [0])
    table.LUTDescriptor = [256, 0, 8]
    table.add_new("LUTData", "OW", bytes(range(255, -1, -1)))
    grey = ramp() // 13  # 0 .. 236
    film = read(grey, VOILUTSequence=[table])
    assert np.array_equal(film.pixels, 255 - grey)


def test_voi_lut_after_a_rescale_into_negative_values() -> None:
    # Rescaled to -1024 .. 2047; the LUT begins at -1024, which US can only say as 64512.
    table = lut(2**16 - 1024, 16, list(range(5, 5 + 4096)))
    film = read(ramp(), RescaleSlope="1", RescaleIntercept="-1024", VOILUTSequence=[table])
    assert np.array_equal(film.pixels, ramp() + 5)


def test_a_linear_window_only_clips() -> None:
    # PS3.3 C.11.2.1.2: centre 1500, width 2001 -> 1499.5 -+ 1000
    film = read(ramp(), WindowCenter="1500", WindowWidth="2001")
    assert np.array_equal(film.pixels, np.clip(ramp(), 499.5, 2499.5).astype(np.float32))
    assert film.notes == ()
    exact = read(ramp(), WindowCenter="1500", WindowWidth="2000", VOILUTFunction="LINEAR_EXACT")
    assert np.array_equal(exact.pixels, np.clip(ramp(), 500, 2500))
    several = read(ramp(), WindowCenter=["1500", "7"], WindowWidth=["2001", "3"])
    assert np.array_equal(several.pixels, film.pixels)


def test_a_window_that_cuts_the_anatomy_is_ignored_with_a_note() -> None:
    film = read(ramp(), WindowCenter="40", WindowWidth="80")
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("the file's window would cut 97% of the pixels; it was ignored",)


def test_a_sigmoid_window_is_applied() -> None:
    film = read(ramp(), WindowCenter="1500", WindowWidth="1000", VOILUTFunction="SIGMOID")
    # PS3.3 C.11.2.1.3.1: 1 / (1 + exp(-4 (v - c) / w)); half at the centre, 0.8808 at c + w / 2
    assert film.pixels.ravel()[1500] == pytest.approx(0.5)
    assert film.pixels.ravel()[2000] == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_lut_that_keeps_no_detail_is_ignored_with_a_note() -> None:
    film = read(ramp(), VOILUTSequence=[lut(5000, 16, [7, 7])])
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("VOILUTSequence leaves nothing to see; it was ignored",)


@pytest.mark.parametrize("window", [("x", "100"), ("100", "0"), ("100", "-5")])
def test_an_invalid_window_is_ignored(window: tuple[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = written(ramp())
        made = dcmread(BytesIO(data))
        made.add_new("WindowCenter", "LO", window[0])  # the wrong VR, to get it written
        made.add_new("WindowWidth", "LO", window[1])
        file = BytesIO()
        dcmwrite(file, made)
    assert np.array_equal(read_radiograph(file.getvalue()).pixels, ramp())


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_black_for_both_photometric_interpretations(photometric: str) -> None:
    values = ramp(low=100)  # 100 .. 3171
    values[:, :12] = 0 if photometric == "MONOCHROME1" else 4095
    value = int(values[0, 0])
    film = read(values, PhotometricInterpretation=photometric, PixelPaddingValue=value)
    inside = film.pixels[:, 12:]
    assert (film.pixels[:, :12] == inside.min()).all()
    assert film.notes == ("padding, 25% of the pixels, was made black",)


def test_padding_range() -> None:
    values = ramp()
    film = read(values, PixelPaddingValue=3000, PixelPaddingRangeLimit=3071)
    padded = values >= 3000
    assert (film.pixels[padded] == 0).all()
    assert np.array_equal(film.pixels[~padded], values[~padded])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({"PixelSpacing": [2.0, 3.0]}, (2.0, 3.0, "PixelSpacing")),
        (
            {"PixelSpacing": [2, 2], "PixelSpacingCalibrationType": "GEOMETRY"},
            (2.0, 2.0, "PixelSpacing/GEOMETRY"),
        ),
        ({"PixelSpacing": [2, 2], "ImagerPixelSpacing": [3, 3]}, (2.0, 2.0, "PixelSpacing")),
        ({"ImagerPixelSpacing": [3, 2]}, (3.0, 2.0, "ImagerPixelSpacing")),
        (
            {"PixelSpacing": [3, 3], "ImagerPixelSpacing": [3, 3]},  # the standard's "uncalibrated"
            (3.0, 3.0, "ImagerPixelSpacing"),
        ),
        (
            {"ImagerPixelSpacing": [3, 6], "EstimatedRadiographicMagnificationFactor": "1.5"},
            (2.0, 4.0, "ImagerPixelSpacing/EstimatedRadiographicMagnificationFactor"),
        ),
        (
            {"ImagerPixelSpacing": [3, 3], "EstimatedRadiographicMagnificationFactor": "0"},
            (3.0, 3.0, "ImagerPixelSpacing"),
        ),
        (
            {"NominalScannedPixelSpacing": [2, 2]},
            (2.0, 2.0, "NominalScannedPixelSpacing"),
        ),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [-1, 1]}, None),
    ],
)
def test_spacing_and_its_source(tags: dict[str, Any], expected: Any) -> None:
    spacing = read(ramp(), **tags).spacing
    got = spacing and (spacing.row_mm, spacing.col_mm, spacing.source)
    assert got == expected


def test_a_spacing_that_fits_no_chest_is_ignored_with_a_note() -> None:
    film = read(ramp(), PixelSpacing=[0.1, 0.1])
    assert film.spacing is None
    assert film.notes == (
        "PixelSpacing of 0.1 x 0.1 mm would make a film of 6.4 x 4.8 mm; it was ignored",
    )


def view_codes(meaning: str, value: str = "0") -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = value, meaning
    return [code]


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"ViewPosition": "AP"}, "AP"),
        ({"ViewPosition": None}, None),
        ({"ViewPosition": None, "ViewCodeSequence": view_codes("postero-anterior")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("antero-posterior")}, "AP"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("von hinten", "R-40888")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("von vorn", "399348003")}, "AP"),
        ({"ViewPosition": "LLD"}, "LLD"),  # on the side, but from the front
    ],
)
def test_view(tags: dict[str, Any], view: str | None) -> None:
    assert read(ramp(), **tags).view == view


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "modality CT; expected a plain film"),
        ({"Modality": "MG"}, "modality MG"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "of the kind CT Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "of the kind MR Image Storage"),
        ({"BodyPartExamined": "KNEE"}, "BodyPartExamined is KNEE; expected CHEST"),
        ({"NumberOfFrames": 3}, "of 3 frames; expected a film of 1"),
        ({"ViewPosition": "LL"}, "a lateral film, its view is LL"),
        ({"ViewPosition": "RLO"}, "an oblique film"),
        ({"ViewPosition": None, "ViewCodeSequence": view_codes("left lateral")}, "a lateral film"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("seitlich", "R-10236")}, "view is LL"),
        (
            {"ViewPosition": None, "ViewCodeSequence": view_codes("antero-posterior oblique")},
            "an oblique film",
        ),
        ({"PatientOrientation": ["A", "F"]}, "a lateral film, its rows run to A"),
        ({"Manufacturer": "Pleura"}, "a picture that Pleura made itself"),
        ({"PixelData": None}, "holds no pixels"),
        ({"Rows": 20}, "too small"),
    ],
)
def test_an_object_that_is_not_a_frontal_chest_film_is_refused(
    tags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsuitableFilm, match=message) as refusal:
        read(ramp(), **tags)
    assert NAME not in str(refusal.value)


def test_a_damaged_length_puts_no_other_value_into_a_message() -> None:
    data = written(ramp(), ViewPosition="PA", Modality="XX", Manufacturer=NAME)
    place = data.index(b"CS\x02\0XX") + 2
    complete = data[:place] + (60).to_bytes(2, "little") + data[place + 2 :]
    with pytest.raises(UnreadableFilm, match="Modality holds no sensible value") as refusal:
        read_radiograph(complete)
    assert NAME not in str(refusal.value)


@pytest.mark.parametrize("part", [None, "", "UNKNOWN", "THORAX", "Chest PA", "LUNG"])
def test_missing_and_imprecise_body_parts_are_accepted(part: str | None) -> None:
    assert read(ramp(), BodyPartExamined=part).size == (ROWS, COLUMNS)


def test_missing_attributes_are_accepted() -> None:
    film = read(ramp(), Modality=None, BodyPartExamined=None, ViewPosition=None)
    assert np.array_equal(film.pixels, ramp())


def test_orientation_is_noted() -> None:
    assert read(ramp(), PatientOrientation=["L", "F"]).notes == ()
    assert "mirrored" in read(ramp(), PatientOrientation=["R", "F"]).notes[0]
    assert "upright" in read(ramp(), PatientOrientation=["L", "H"]).notes[0]
    assert "upright" in read(ramp(), PatientOrientation=["F", "R"]).notes[0]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"ImageLaterality": "R"}, "ImageLaterality says the film shows the right side"),
        ({"Laterality": "L"}, "Laterality says the film shows the left side"),
    ],
)
def test_a_film_of_one_side_is_noted(tags: dict[str, str], message: str) -> None:
    (note,) = read(ramp(), **tags).notes
    assert note.startswith(message)
    assert read(ramp(), ImageLaterality="U", Laterality="").notes == ()


def test_a_mirrored_film_is_not_changed() -> None:
    assert np.array_equal(read(ramp(), PatientOrientation=["R", "F"]).pixels, ramp())


def test_raw_values_are_noted() -> None:
    film = read(ramp(), PresentationIntentType="FOR PROCESSING")
    assert "FOR PROCESSING" in film.notes[0]


def colour(rgb: np.ndarray, **tags: Any) -> bytes:
    made = dataset(ramp(), SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", **tags)
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "RGB"
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = rgb.astype(np.uint8).tobytes()
    made["PixelData"].VR = "OB"
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def test_a_grey_film_in_rgb_is_read_and_a_photograph_refused() -> None:
    grey = ramp() // 13
    film = read_radiograph(colour(np.repeat(grey[..., None], 3, axis=2)))
    assert np.array_equal(film.pixels, grey)
    photo = np.dstack([grey, 255 - grey, np.roll(grey, 20, axis=0)])
    with pytest.raises(UnsuitableFilm, match="colour photograph"):
        read_radiograph(colour(photo))
    forced = read_radiograph(colour(photo), photographs=True)
    assert forced.size == (ROWS, COLUMNS)
    assert "colour photograph" in forced.notes[0]


def test_a_blank_film_is_refused() -> None:
    with pytest.raises(UnsuitableFilm, match="no contrast"):
        read(np.zeros((ROWS, COLUMNS), int))


def test_an_error_for_damage_quotes_no_identity() -> None:
    data = written(ramp())
    for cut in (140, 300, len(data) // 2, len(data) - 10):
        with pytest.raises((UnreadableFilm, UnsuitableFilm)) as refusal:
            read_radiograph(data[:cut])
        assert NAME not in str(refusal.value)
        assert refusal.value.__cause__ is None  # pydicom's own words may quote a value
    with pytest.raises(UnreadableFilm, match=r"\(Explicit VR Little Endian\) could not be decoded"):
        read_radiograph(data[: len(data) // 2])


def test_an_error_for_a_missing_decoder_names_the_remedy() -> None:
    codestream = b"\xff\xd8\xff" + bytes(99)
    with pytest.raises(UnreadableFilm, match=r"JPEG Extended.*export it uncompressed"):
        read_radiograph(compressed(JPEGExtended12Bit, codestream))
    data = compressed(UID("1.2.840.10008.1.2.4.100"), codestream)
    with pytest.raises(UnreadableFilm, match=r"MPEG2 .* no decoder is installed; .*python-gdcm"):
        read_radiograph(data)


def test_a_missing_decoder_package_breaks_nothing_else() -> None:
    code = """
import sys
sys.modules["gdcm"] = sys.modules["_gdcm"] = None  # importing either fails
from pleura.io.dicom.decode.codecs import decoders
from pleura.io.read import read_radiograph
missing = [each.name for each in decoders() if not each.available]
assert any("Lossless" in name for name in missing), missing
print(read_radiograph(sys.stdin.buffer.read()).size)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=written(ramp()), capture_output=True, check=True
    )
    assert done.stdout.split() == b"(64, 48)".split()


@pytest.mark.parametrize("stranger", ["dl", "dl/__init__.py"])
def test_another_module_called_dl_breaks_nothing_else(stranger: str, tmp_path: Path) -> None:
    """python-gdcm imports any `dl` it finds, and takes pydicom down with it."""
    place = tmp_path / stranger
    place.parent.mkdir(exist_ok=True)
    _ = place.write_text("") if place.suffix else place.mkdir()
    code = """
import sys
from pleura.io.read import read_radiograph
print(read_radiograph(sys.stdin.buffer.read()).size)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=written(ramp()), capture_output=True, cwd=tmp_path
    )
    assert done.stdout.split() == b"(64, 48)".split(), done.stderr


def test_an_error_for_12_bit_jpeg_without_the_extra_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pleura.io.dicom.read.is_available", lambda _: False)
    data = compressed(JPEGExtended12Bit, b"\xff\xd8\xff" + bytes(99))
    with pytest.raises(UnreadableFilm, match=r"pip install 'pleura\[jpeg12\]'` for 12 bits"):
        read_here(data)


def test_all_decoders_are_installed_here() -> None:
    assert [decoder.name for decoder in decoders() if not decoder.available] == []


def test_departures_from_the_standard_become_a_note_and_no_warning_or_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = written(ramp(), PatientBirthDate="19700101", PixelSpacing=[5.5, 5.5])
    assert b"5.5\\5.5" in data
    data = data.replace(b"5.5\\5.5", b"5,5\\5.5")  # a comma in a decimal string
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        film = read_radiograph(data)
        assert warnings.filters == before
    assert np.array_equal(film.pixels, ramp())
    assert film.spacing is None
    padded = dataset(ramp()).PixelData + bytes(100)
    with pytest.warns(UserWarning, match="excess padding"):
        assert dcmread(BytesIO(written(ramp(), PixelData=padded))).pixel_array is not None
    film = read(ramp(), PixelData=padded)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == (
        "the file departs from the DICOM standard; it could be read all the same",
    )
    assert NAME not in caplog.text
    assert capfd.readouterr() == ("", "")
