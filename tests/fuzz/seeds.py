"""Sound films of every format and compression, from which damaged ones are made.

DICOM films are compressed by dcmtk (`dcmcjpeg`, `dcmcjpls`, `dcmcrle`), JPEG 2000 by Pillow.
"""

from __future__ import annotations

import gzip
import subprocess
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless

from pleura.phantom.film import draw

DCMTK = {
    "dicom-implicit": ["dcmconv", "+ti"],
    "dicom-big-endian": ["dcmconv", "+tb"],
    "dicom-deflated": ["dcmconv", "+td"],
    "dicom-rle": ["dcmcrle"],
    "dicom-jpeg-lossless": ["dcmcjpeg", "+un", "+e1"],
    "dicom-jpeg-lossless-14": ["dcmcjpeg", "+un", "+el"],
    "dicom-jpeg-extended": ["dcmcjpeg", "+un", "+ee", "+bt"],
    "dicom-jpeg-ls": ["dcmcjpls", "+un"],
    "dicom-jpeg-ls-near": ["dcmcjpls", "+un", "+en", "+md", "2"],
}


def seeds() -> dict[str, bytes]:
    """Format or compression -> the bytes of a sound film of 224 x 196 pixels."""
    pixels = draw(224, 196, seed=3).radiograph.pixels
    deep = np.rint(pixels * 4095).astype("<u2")
    grey = np.rint(pixels * 255).astype(np.uint8)
    return {**_pictures(grey, deep), **_nifti(grey), **_dicom(grey, deep)}


def _pictures(grey: np.ndarray, deep: np.ndarray) -> dict[str, bytes]:
    image, wide = Image.fromarray(grey), Image.fromarray(deep)
    colour = Image.merge("RGB", [image] * 3)
    see_through = colour.copy()
    see_through.putalpha(Image.fromarray(np.maximum(grey, 200)))
    return {
        "png": _saved(image, "PNG"),
        "png-16": _saved(wide, "PNG"),
        "png-rgb": _saved(colour, "PNG"),
        "png-rgba": _saved(see_through, "PNG"),
        "png-palette": _saved(image.convert("P"), "PNG"),
        "jpeg": _saved(image, "JPEG"),
        "jpeg-rgb": _saved(colour, "JPEG"),
        "jpeg-cmyk": _saved(colour.convert("CMYK"), "JPEG"),
        "jpeg-progressive": _saved(image, "JPEG", progressive=True),
        "tiff": _saved(image, "TIFF"),
        "tiff-16": _saved(wide, "TIFF"),
        "tiff-float": _saved(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        **{
            f"tiff-{name}": _saved(image, "TIFF", compression=name)
            for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")
        },
        "tiff-rgb": _saved(colour, "TIFF", compression="tiff_lzw"),
        "bmp": _saved(image, "BMP"),
        "bmp-rgb": _saved(colour, "BMP"),
        "webp": _saved(colour, "WEBP"),
        "webp-lossless": _saved(colour, "WEBP", lossless=True),
    }


def _nifti(grey: np.ndarray) -> dict[str, bytes]:
    plain = nibabel.Nifti1Image(grey.T, np.eye(4)).to_bytes()
    second = nibabel.Nifti2Image(grey.T.astype(np.float32), np.eye(4)).to_bytes()
    return {"nifti": plain, "nifti-2": second, "nifti-gz": gzip.compress(plain, mtime=0)}


def _dicom(grey: np.ndarray, deep: np.ndarray) -> dict[str, bytes]:
    films = {"dicom": _written(_film(deep, 12)), "dicom-8": _written(_film(grey, 8))}
    films["dicom-tables"] = _written(_with_tables(_film(deep, 12)))
    films["dicom-palette"] = _written(_with_palette(_film(grey, 8)))
    films["dicom-rgb"] = _written(_film(np.stack([grey] * 3, axis=2), 8))
    with TemporaryDirectory() as folder:
        for name, command in DCMTK.items():
            films[name] = _converted(films["dicom"], command, Path(folder))
        films["dicom-jpeg"] = _converted(films["dicom-8"], ["dcmcjpeg", "+un", "+eb"], Path(folder))
        films["dicom-jpeg-rgb"] = _converted(
            films["dicom-rgb"], ["dcmcjpeg", "+un", "+eb"], Path(folder)
        )
    films["dicom-jpeg-2000"] = _written(_jpeg_2000(_film(deep, 12), deep))
    return films


def _film(values: np.ndarray, bits: int) -> Dataset:
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    film.PatientID = film.PatientName = film.StudyDate = film.StudyTime = ""
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Manufacturer, film.PixelSpacing = "Nobody", [1.6, 1.6]
    film.WindowCenter, film.WindowWidth = 2 ** (bits - 1), 2**bits
    film.PatientOrientation = ["L", "F"]
    kind = "RGB" if values.ndim == 3 else "MONOCHROME2"
    film.set_pixel_data(values, kind, bits)
    film.SOPInstanceUID = "1.2.3.4"
    return film


def _with_tables(film: Dataset) -> Dataset:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [4096, 0, 16], "curve"
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "US", [value * 16 for value in range(4096)])
    film.VOILUTSequence = Sequence([table])
    film.RescaleSlope, film.RescaleIntercept, film.PixelPaddingValue = 1, 0, 0
    del film.WindowCenter, film.WindowWidth
    return film


def _with_palette(film: Dataset) -> Dataset:
    film.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        film.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        table = np.arange(256, dtype="<u2") * 257
        film.add_new(f"{colour}PaletteColorLookupTableData", "OW", table.tobytes())
    return film


def _jpeg_2000(film: Dataset, deep: np.ndarray) -> Dataset:
    stream = BytesIO()
    Image.fromarray(deep).save(stream, "JPEG2000", no_jp2=True)
    film.PixelData = encapsulate([stream.getvalue()])
    film["PixelData"].VR = "OB"
    film.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return film


def _converted(film: bytes, command: list[str], folder: Path) -> bytes:
    before, after = folder / "before.dcm", folder / "after.dcm"
    before.write_bytes(film)
    subprocess.run([command[0], "-q", *command[1:], before, after], check=True)
    dcmread(after)
    return after.read_bytes()


def _written(film: Dataset) -> bytes:
    stream = BytesIO()
    film.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
