"""Copying text of a film into a result as the bytes that stand in the film's file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

__all__ = ["copy_bytes", "is_blank", "keep_bytes", "raw_value"]

MAX_TEXT_BYTES = 1_000
"""The most bytes of an attribute of patient or study. The length of a longer value is corrupt: the
value includes the bytes of the elements after it."""


def is_blank(value: Any) -> bool:
    """Whether a value, text or bytes, holds nothing but blanks."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return not text.strip(" \0")


def copy_bytes(dataset: Dataset, into: Dataset, keywords: Iterable[str]) -> None:
    """Copy the bytes of values from the file, padded to an even length."""
    for keyword in keywords:
        value = raw_value(dataset, keyword)
        if not isinstance(value, bytes) or is_blank(value) or len(value) > MAX_TEXT_BYTES:
            continue
        padded = value + b" " * (len(value) % 2)
        tag = Tag(keyword)
        into[tag] = RawDataElement(tag, dictionary_VR(keyword), len(padded), padded, 0, False, True)


def raw_value(dataset: Dataset, keyword: str) -> Any:
    """The value as it is in the file; pydicom itself converts SpecificCharacterSet."""
    value = dataset.get_item(keyword).value if keyword in dataset else None
    if keyword == "SpecificCharacterSet" and value is not None and not isinstance(value, bytes):
        names = value if isinstance(value, MultiValue) else [value]
        return "\\".join(map(str, names)).encode("latin-1", "replace")
    return value


def keep_bytes(dataset: Dataset) -> None:
    """Make pydicom write the original bytes of text; it would convert another character set."""
    dataset.set_original_encoding(False, True, dataset._character_set)
