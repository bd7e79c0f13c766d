"""A film of a data set with its label masks: `Film`, `MaskPart` and `Labels`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import KNOWN_CHANNELS, Mask
from pleura.core.errors import DataError, FilmError
from pleura.core.types import Radiograph
from pleura.io.images.read_masks import MaskFile, read_mask
from pleura.io.images.write.masks import HEART, LEFT, RIGHT
from pleura.io.read import is_stored_mirrored, read_radiograph
from pleura.runtime.mirror import BY_HEADER, mirror_film

__all__ = [
    "IGNORE",
    "Film",
    "Labels",
    "MaskPart",
    "digest_of",
    "evenly",
    "fingerprint",
    "label_map_parts",
    "with_masks",
]

IGNORE = "ignore"
"""The pseudo-channel of pixels that are not used, such as burnt-in text and devices."""


@dataclass(frozen=True, slots=True)
class MaskPart:
    """One structure of a mask file: the pixels that equal `value`, or that of a name."""

    path: Path
    channel: str
    """One of `core.arrays.KNOWN_CHANNELS`, or `IGNORE`."""

    value: int | None = None
    """The grey value of this structure; None for all values except zero."""

    optional: bool = False
    """Whether a mask without this value leaves the structure unlabelled, instead of empty."""

    structure: str = ""
    """The name of the structure in a file that has names, or a colour `#rrggbb`; else empty."""

    film: str = ""
    """The film's name in an annotation file, which may hold several."""

    def __post_init__(self) -> None:
        if self.channel not in (*KNOWN_CHANNELS, IGNORE):
            known = ", ".join((*KNOWN_CHANNELS, IGNORE))
            raise DataError(f"{self.path}: unknown label {self.channel!r}; known are {known}")

    @property
    def key(self) -> tuple[object, ...]:
        """What distinguishes this part from others of its file, for digests."""
        named = (self.structure, self.film) if self.structure else ()
        return (self.channel, self.value, *named)

    def mask_in(self, file: MaskFile, values: NDArray[np.integer[Any]]) -> Mask:
        """The mask of this part, (H, W) bool; `values` are those of `file` that count."""
        if self.structure:
            return file.structure(self.structure)
        mask: Mask = values != 0 if self.value is None else values == self.value
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The label masks of a film, at the size of the mask files."""

    targets: Mapping[str, Mask]
    """Channel -> (H, W) bool. A missing channel is unlabelled, not empty."""

    ignore: Mask | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the masks."""
        height, width = next(iter(self.targets.values())).shape
        return height, width

    def mirrored(self) -> Labels:
        """The masks mirrored left to right; right and left stay the patient's."""
        targets = {channel: mask[:, ::-1] for channel, mask in self.targets.items()}
        return Labels(
            MappingProxyType(targets), None if self.ignore is None else self.ignore[:, ::-1]
        )


@dataclass(frozen=True, slots=True)
class Film:
    """A film of a data set: its files, labels and origin; `read_image` reads the pixels.

    Film and labels are read upright, with the patient's right on their left: if the header states
    that the film is stored mirrored, both are mirrored left to right.
    """

    id: str
    source: str
    """The hospital or collection, e.g. `shenzhen`; scores are reported for each."""

    image: Path
    masks: tuple[MaskPart, ...] = ()
    split: str | None = None
    patient: str = ""
    """Empty if it is not known: the film then counts as a patient of its own."""

    condition: str = ""
    weight: float = 1.0
    """How often training uses the film, relative to others; above 0."""

    decode: Callable[[Path], Radiograph] = field(default=read_radiograph, repr=False)
    """The function that reads the image; a layout sets it for files without a header (raw .IMG)."""

    masks_are_upright: bool = False
    """The masks lie on the upright film even if it is stored mirrored."""

    @property
    def channels(self) -> frozenset[str]:
        """The channels that this film's masks label."""
        return frozenset(part.channel for part in self.masks) - {IGNORE}

    def read_image(self) -> Radiograph:
        """Decode the film, upright; raises `FilmError` if it cannot be read."""
        stored = self.decode(self.image)
        return (
            replace(mirror_film(stored, BY_HEADER), mirrored=False) if stored.mirrored else stored
        )

    @property
    def mirrors_masks(self) -> bool:
        """Whether the masks are mirrored when they are read; this opens the film's header."""
        return not self.masks_are_upright and is_stored_mirrored(self.image)

    def read_masks(self) -> dict[Path, MaskFile]:
        """Read every mask file of the film as stored; raises `DataError` if one cannot be read."""
        files: dict[Path, MaskFile] = {}
        for path, name in {part.path: part.film for part in self.masks}.items():
            try:
                files[path] = read_mask(path, name)
            except FilmError as error:
                raise DataError(f"{path}: mask cannot be read ({error})") from error
        return files

    def read_labels(self) -> Labels:
        """Read the masks, upright; the parts of one channel are joined.

        Raises `DataError` if there is no mask or its files differ in size.
        """
        return self.labels_of(self.read_masks())

    def labels_of(self, files: Mapping[Path, MaskFile]) -> Labels:
        """The labels in the files of `read_masks`; raises as `read_labels`."""
        if not self.channels:
            raise DataError(f"{self.id}: film has no mask; leave it out or add one")
        values = {path: file.read_as(self.declared(path)) for path, file in files.items()}
        sizes = {value.shape for value in values.values()}
        if len(sizes) > 1:
            raise DataError(f"{self.id}: its mask files differ in size: {sorted(sizes)}")
        joined: dict[str, Mask] = {}
        for part in self.masks:
            mask = part.mask_in(files[part.path], values[part.path])
            if part.optional and not mask.any():
                continue
            joined[part.channel] = joined[part.channel] | mask if part.channel in joined else mask
        ignore = joined.pop(IGNORE, None)
        labels = Labels(MappingProxyType(joined), ignore)
        return labels.mirrored() if self.mirrors_masks else labels

    def declared(self, path: Path) -> set[int]:
        """The values of a mask file that label a structure; empty if all values except 0 do."""
        parts = [part for part in self.masks if part.path == path and not part.structure]
        values = {part.value for part in parts}
        return set() if None in values else {value for value in values if value is not None}

    def declared_names(self, path: Path) -> set[str]:
        """The names or colours in a mask file that label a structure; empty for plain masks."""
        return {part.structure for part in self.masks if part.path == path and part.structure}


def label_map_parts(path: Path) -> tuple[MaskPart, ...]:
    """The parts of a label map that Pleura wrote for lungs by `field`.

    If a map has no heart, the weights had no heart channel, so the heart is unlabelled.
    """
    return (
        MaskPart(path, "right_field", RIGHT),
        MaskPart(path, "left_field", LEFT),
        MaskPart(path, "heart", HEART, optional=True),
    )


def fingerprint(films: Sequence[Film]) -> str:
    """The SHA-256 of ids, sources, labels, weights, and the films' and masks' bytes, not paths."""
    digest = hashlib.sha256()
    for film in sorted(films, key=lambda film: (film.source, film.id)):
        labels = [part.key for part in film.masks]
        weight = () if film.weight == 1 else (film.weight,)
        digest.update(repr((film.id, film.source, labels, *weight)).encode())
        for path in dict.fromkeys([film.image, *(part.path for part in film.masks)]):
            digest.update(_content(path))
    return digest.hexdigest()


def digest_of(film: Film) -> str:
    """The first 12 digits of the SHA-256 of a film's file; empty if it is not there."""
    return _content(film.image).hex()[:12] if film.image.is_file() else ""


def _content(path: Path) -> bytes:
    """The SHA-256 of a file; of the word `missing` if there is none."""
    if not path.is_file():
        return hashlib.sha256(b"missing").digest()
    state = path.stat()
    return _content_at(path, state.st_size, state.st_mtime_ns)


@cache
def _content_at(path: Path, _size: int, _mtime_ns: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def with_masks(films: Iterable[Film]) -> list[Film]:
    """The films that have a mask."""
    return [film for film in films if film.channels]


def evenly(films: Sequence[Film], count: int) -> list[Film]:
    """At most `count` of the films, evenly from all of them."""
    if count <= 0:
        return []
    step = max(1.0, len(films) / count)
    return [films[int(index * step)] for index in range(min(count, len(films)))]
