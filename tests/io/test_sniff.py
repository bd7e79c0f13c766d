"""The format of a file is recognised by its first bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from pleura.io.sniff import is_compressed_dicom

COMPRESSED = {
    ImplicitVRLittleEndian: False,
    ExplicitVRLittleEndian: False,
    ExplicitVRBigEndian: False,
    DeflatedExplicitVRLittleEndian: True,
    JPEG2000: True,
    RLELossless: True,
}


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: UID(uid).keyword)
def test_the_transfer_syntax_decides_whether_pixels_are_compressed(syntax: str) -> None:
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    film.ensure_file_meta()
    film.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    film.save_as(file, enforce_file_format=True)
    assert is_compressed_dicom(file.getvalue()) == COMPRESSED[syntax]


def test_a_file_without_a_transfer_syntax_is_not_compressed() -> None:
    assert not is_compressed_dicom(b"\x08\0\x16\0UI" + bytes(300))
