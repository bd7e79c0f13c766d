"""Decoders of compressed DICOM films, and what is said where one is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.uid import (
    UID,
    JPEGExtended12Bit,
)
from tests.io.dicom.films import compressed, ramp, written

from pleura.core.errors import UnreadableFilm
from pleura.io.dicom.decode.codecs import decoders
from pleura.io.read import read_here, read_radiograph


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
