"""Recognising and reading an annotation file. A new format is an entry in `FORMATS`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pleura.core.errors import UnreadableFilm
from pleura.io.annotations.coco import is_coco, read_coco
from pleura.io.annotations.cvat import is_cvat, read_cvat
from pleura.io.annotations.labelme import is_labelme, read_labelme
from pleura.io.annotations.shapes import AnnotatedFilm
from pleura.io.decoding import decoding

__all__ = ["ANNOTATION_SUFFIXES", "read_annotations"]

ANNOTATION_SUFFIXES = (".json", ".xml")
"""File name endings of annotation files."""

REMEMBERED = 64
"""Files whose content is kept, so that a file of many films is not parsed for each of them."""


@dataclass(frozen=True, slots=True)
class AnnotationFormat:
    """One format of annotation files."""

    name: str
    suffix: str
    """One of `ANNOTATION_SUFFIXES`; it decides how the file is parsed."""

    recognises: Callable[[Any], bool]
    """Whether the parsed content is of this format."""

    read: Callable[[Any], list[AnnotatedFilm]]


FORMATS = (
    AnnotationFormat("COCO JSON", ".json", is_coco, read_coco),
    AnnotationFormat("Labelme JSON", ".json", is_labelme, read_labelme),
    AnnotationFormat("CVAT XML", ".xml", is_cvat, read_cvat),
)


def read_annotations(path: Path) -> tuple[AnnotatedFilm, ...] | None:
    """The films of an annotation file; None for a file of another kind, such as settings.

    Raises:
        UnreadableFilm: it cannot be opened, or is damaged.
    """
    try:
        state = path.stat()
        return _read(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise UnreadableFilm(f"cannot be opened ({error.strerror or error})") from error


@lru_cache(REMEMBERED)
def _read(path: Path, _size: int, _mtime_ns: int) -> tuple[AnnotatedFilm, ...] | None:
    suffix = path.suffix.lower()
    content = _parsed(path, suffix)
    for form in FORMATS:
        if form.suffix == suffix and form.recognises(content):
            with decoding(form.name, alone=False):
                return tuple(form.read(content))
    return None


def _parsed(path: Path, suffix: str) -> Any:
    with decoding(suffix.lstrip(".").upper(), alone=False):
        if suffix == ".xml":
            return ElementTree.fromstring(path.read_bytes())
        return json.loads(path.read_bytes())
