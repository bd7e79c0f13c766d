"""Pleura from Python: `segment`, the `Segmenter` behind it, and the `Segmentation` both give.

`Segmentation` adds to that of `pleura.core.types` what needs files and pictures, which core may not
open. The command line uses the same `Segmenter`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core import types
from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.errors import (
    DataError,
    DiskFull,
    FilmError,
    OutputError,
    PleuraError,
    UnreadableFilm,
    UnsuitableFilm,
    UsageError,
    WeightsError,
)
from pleura.core.types import Box, Doubt, Measurements, Provenance, Quality, Radiograph, Spacing
from pleura.io.film_checks import check_contrast, check_size
from pleura.io.images.overlay import marked_overlay, overlay_image
from pleura.io.outputs import write_outputs
from pleura.io.read import read_radiograph
from pleura.runtime import segmenter
from pleura.runtime.engine import Engine, OnnxEngine
from pleura.runtime.open import open_weights
from pleura.runtime.openvino_engine import OpenVinoEngine

__all__ = [
    "Box",
    "Card",
    "DataError",
    "DiskFull",
    "Doubt",
    "Engine",
    "FilmError",
    "Measurements",
    "OnnxEngine",
    "OpenVinoEngine",
    "OutputError",
    "PleuraError",
    "Provenance",
    "Quality",
    "Radiograph",
    "Segmentation",
    "Segmenter",
    "Spacing",
    "UnreadableFilm",
    "UnsuitableFilm",
    "UsageError",
    "WeightsError",
    "read_radiograph",
    "segment",
]

Source: TypeAlias = Path | str | bytes | NDArray[Any]
"""A file's path, a file's bytes, or pixels (H, W) in which brighter means denser."""

NOTEBOOK_SIDE = 768
"""Pixels of the longer side of the picture that a notebook shows."""

_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Segmentation(types.Segmentation):
    """The lungs of one film, at its native size; a notebook shows it as an overlay."""

    @classmethod
    def of(cls, result: types.Segmentation) -> Segmentation:
        """`result` with the methods of this class; its arrays are shared, not copied."""
        return cls(**{field.name: getattr(result, field.name) for field in fields(result)})

    def overlay(self, *, legend: bool = True) -> Image.Image:
        """The film in RGB with the lungs outlined and lightly filled, at native size.

        The patient's right lung is blue (#0072B2), the left one vermillion (#D55E00). The heart,
        if the weights have one, is outlined in purple (#CC79A7), and dashed bars show the two
        widths of the cardiothoracic ratio. With `legend`, rows below the film explain that, and
        give the verdict if it is not `ok`; without, the picture has the film's size.
        """
        return marked_overlay(self) if legend else overlay_image(self)

    def save(
        self,
        stem: Path | str,
        *,
        formats: Iterable[str] = ("mask",),
        film: Path | str | bytes | None = None,
    ) -> list[Path]:
        """Write files beside `stem`, a path without suffix, and return them.

        `result.save("out/film", formats=["mask", "overlay"])` writes `out/film_mask.png` and
        `out/film_overlay.png`; folders are made, files of those names are replaced. The formats
        are those of `pleura segment --format`: mask, overlay, split, labels, npy, nifti, coco,
        crop, probabilities, and the DICOM ones, which need `film`: the DICOM file that was
        segmented, its path or its bytes.

        Raises:
            UsageError: no such format, a DICOM format without `film`, a stem that is a folder or
                has a file's suffix.
            OutputError: the file cannot be written there.
            UnsuitableFilm: `film` is no DICOM film that a result can refer to.
        """
        given, stem = stem, Path(stem)
        if stem.is_dir() or str(given).endswith(("/", "\\")):
            raise UsageError(
                f"{given} is a folder; give a stem inside it: '{stem / 'film'}' writes "
                f"{stem / 'film_mask.png'}"
            )
        if stem.suffix.lower() in _SUFFIXES:
            raise UsageError(
                f"give a stem without suffix: '{stem.with_suffix('')}' and not '{given}'; "
                "each format puts its own ending behind it"
            )
        return write_outputs(self, stem, formats, film=film)

    def __repr__(self) -> str:
        """Size, areas and notes in one line; the arrays stay out."""
        height, width = self.radiograph.size
        lungs, notes = self.measurements, "; ".join(self.notes)
        return (
            f"<Segmentation of a film of {height} x {width} pixels: right lung "
            f"{lungs.right_area_px:,} px, left lung {lungs.left_area_px:,} px"
            f"{', notes: ' + notes if notes else ''}>"
        )

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay, made smaller."""
        picture, png = self.overlay(), BytesIO()
        picture.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        picture.save(png, "PNG")
        return png.getvalue()


class Segmenter(segmenter.Segmenter):
    """Segments films with one engine: called with a `Radiograph`, it gives a `Segmentation`.

    Safe to call from several threads.
    """

    def __call__(self, radiograph: Radiograph) -> Segmentation:
        """Segment one film.

        Raises:
            UnsuitableFilm: nothing to segment in it: too small, flat, or not finite.
        """
        return self.segment([radiograph])[0]

    def segment(self, films: Sequence[Radiograph]) -> list[Segmentation]:
        """Segment films of any sizes in one batch of the engine, in the order given.

        Raises:
            UnsuitableFilm: for the first film with nothing to segment; none is segmented then.
        """
        return [Segmentation.of(result) for result in super().segment(films)]


_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz", ".json", ".dcm"})


class Network(TypedDict, total=False):
    """What computes in `segment`: weights, or an engine that has its own."""

    weights: Path | str | bytes | None
    engine: Engine | None


def segment(
    source: Source,
    *,
    spacing: Spacing | tuple[float, float] | None = None,
    definition: Definition = "field",
    flip: bool = False,
    **network: Unpack[Network],
) -> Segmentation:
    """Find the lungs in a frontal chest film.

    Args:
        source: a file's path, the bytes of a file, or pixels (H, W) of any real dtype in which
            brighter means denser: bone white, air black.
        spacing: between pixels in mm, (rows, columns); takes the place of what the file says.
        definition: `field` leaves heart and mediastinum out, `whole` holds the lung behind them
            too.
        flip: mirror the film left to right before it is segmented, for a film that is stored
            mirrored. The result lies on the film as it was given, and `right` is the patient's.
        weights: an ONNX file made by `pleura export`, or its bytes; None for the shipped ones.
        engine: takes the place of `weights`: an engine of your own, already loaded.

    Returns:
        The lungs at the film's native size. The network stays in memory for the next call; calls
        from several threads are safe.

    Raises:
        UnreadableFilm: no image format we know, or a damaged file.
        UnsuitableFilm: an image, but not a frontal chest film we can work on.
        UsageError: the weights lack that definition, or an argument is wrong.
        WeightsError: the weights are missing, altered, or no weights.
    """
    film = _read(source)
    if spacing is not None:
        film = _respaced(film, spacing)
    return Segmenter(_engine(**network), definition=definition, flip=flip)(film)


def _read(source: Source) -> Radiograph:
    if not isinstance(source, np.ndarray):
        return read_radiograph(source)
    if source.ndim != 2 or source.dtype.kind not in "uif":
        raise UsageError(
            f"pixels must be a (H, W) array of real numbers, got {source.shape} {source.dtype}; "
            "turn colours into grey first, and pass one film at a time"
        )
    check_size(*source.shape)
    pixels = np.ascontiguousarray(source, dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise UnsuitableFilm("some pixels are nan or infinite; replace them first")
    check_contrast(pixels)
    return Radiograph(pixels)


def _respaced(film: Radiograph, spacing: Spacing | tuple[float, float]) -> Radiograph:
    """The film with the spacing that the caller knows better."""
    if not isinstance(spacing, Spacing):
        row_mm, col_mm = spacing
        spacing = Spacing(float(row_mm), float(col_mm), "user")
    said, notes = film.spacing, film.notes
    if said is not None:
        notes = (
            *notes,
            f"the spacing given, {spacing.row_mm:g} x {spacing.col_mm:g} mm, took the place of "
            f"the file's, {said.row_mm:g} x {said.col_mm:g} mm ({said.source})",
        )
    return replace(film, spacing=spacing, notes=notes)


def _engine(weights: Path | str | bytes | None = None, engine: Engine | None = None) -> Engine:
    if engine is not None:
        if weights is not None:
            raise UsageError("give weights or an engine, not both: an engine has its weights")
        return engine
    content = weights if weights is None or isinstance(weights, bytes) else _content(weights)
    with _LOADING:  # or two threads would both load the network
        return _shipped_engine() if content is None else _loaded_engine(content)


@cache
def _shipped_engine() -> Engine:
    return open_weights()


@lru_cache(maxsize=2)
def _loaded_engine(weights: bytes) -> Engine:
    return open_weights(weights)


def _content(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot read the weights {path} ({error.strerror or error}); give the .onnx file "
            "that `pleura export` wrote, or none for the shipped weights"
        ) from error
