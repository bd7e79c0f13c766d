"""The table of transfer syntaxes against pydicom's, which is made from the standard."""

from __future__ import annotations

import pytest
from pydicom.uid import UID

from pleura.io.dicom.decode import syntaxes
from pleura.io.dicom.received import transfer_syntaxes


@pytest.mark.parametrize("syntax", syntaxes.UNCOMPRESSED)
def test_uncompressed_syntaxes_are_neither_encapsulated_nor_deflated(syntax: str) -> None:
    uid = UID(syntax)
    assert not uid.is_encapsulated
    assert not uid.is_deflated
    assert uid.is_implicit_VR == (syntax == syntaxes.IMPLICIT_LITTLE_ENDIAN)
    assert uid.is_little_endian == (syntax != syntaxes.EXPLICIT_BIG_ENDIAN)


def test_the_deflated_syntax_is_deflated() -> None:
    assert UID(syntaxes.DEFLATED).is_deflated


@pytest.mark.parametrize("syntax", syntaxes.COMPRESSED)
def test_compressed_syntaxes_are_encapsulated_and_can_be_read(syntax: str) -> None:
    assert UID(syntax).is_encapsulated
    assert syntax in transfer_syntaxes()


def test_no_syntax_is_offered_twice() -> None:
    offered = transfer_syntaxes()
    assert len(offered) == len(set(offered)) == 13  # 3 plain, 1 deflated, 9 compressed
