"""The patient that the header of a DICOM file names."""

from __future__ import annotations

from pathlib import Path

from pleura.io.decoding import quietly
from pleura.io.dicom.parse import parse_dicom
from pleura.io.sniff import is_dicom

__all__ = ["patient_id"]

_HEAD = 1024  # bytes that are enough to recognise DICOM


def patient_id(path: Path) -> str:
    """The PatientID of a DICOM file; empty if it has none, or cannot be read as DICOM."""
    try:
        with path.open("rb") as stream, quietly():
            if not is_dicom(stream.read(_HEAD)):
                return ""
            stream.seek(0)
            header = parse_dicom(stream, stop_before_pixels=True)
            return str(header.get("PatientID") or "").strip("\0 ")
    except Exception:  # pydicom raises errors of many classes for a damaged header
        return ""
