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
from typing import TypeAlias, TypedDict, Unpack

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
from pleura.io.images.write.overlay import marked_overlay, overlay_image
from pleura.io.outputs import write_outputs
from pleura.io.read import read_radiograph
from pleura.io.sources import Source, read_source
from pleura.runtime import segmenter
from pleura.runtime.engine import Engine, OnnxEngine
from pleura.runtime.open import Choice, open_weights, read_weights
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
        """Size, areas and notes in one line, without the arrays."""
        height, width = self.radiograph.size
        lungs, notes = self.measurements, "; ".join(self.notes)
        return (
            f"<Segmentation of a film of {height} x {width} pixels: right lung "
            f"{lungs.right_area_px:,} px, left lung {lungs.left_area_px:,} px"
            f"{', notes: ' + notes if notes else ''}>"
        )

    def _repr_png_(self) -> bytes:
        """The overlay as PNG, made smaller, for notebooks."""
        picture, png = self.overlay(), BytesIO()
        picture.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        picture.save(png, "PNG")
        return png.getvalue()


Weights: TypeAlias = Path | str | bytes
"""An ONNX file of `pleura export`, or its bytes."""


class _Options(TypedDict, total=False):
    """How films are segmented; see `runtime.segmenter.Segmenter`."""

    definition: Definition
    flip: bool
    tta: bool


class Segmenter(segmenter.Segmenter):
    """Segments films with one engine: called with a `Radiograph`, it gives a `Segmentation`.

    Safe to call from several threads.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        weights: Weights | Sequence[Weights] | None = None,
        **options: Unpack[_Options],
    ) -> None:
        """Segment with `engine`, with `weights` as `segment` takes them, or with the shipped ones.

        Raises:
            UsageError: the weights lack the definition, or both engine and weights are given.
            WeightsError: the weights are missing, altered, or no weights.
        """
        super().__init__(_engine(weights, engine), **options)

    def __call__(self, radiograph: Radiograph) -> Segmentation:
        """Segment one film.

        Raises:
            UnsuitableFilm: the film is too small, flat, or not finite.
        """
        return self.segment([radiograph])[0]

    def segment(self, films: Sequence[Radiograph]) -> list[Segmentation]:
        """Segment films of any sizes in one batch; the results are in the order of the films.

        Raises:
            UnsuitableFilm: the first film that cannot be segmented; none is segmented then.
        """
        return [Segmentation.of(result) for result in super().segment(films)]


_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz", ".json", ".dcm"})


class Network(TypedDict, total=False):
    """What computes: shipped weights, other weights, or an engine that has its own."""

    fast: bool
    weights: Weights | Sequence[Weights] | None
    engine: Engine | None


def segment(
    source: Source,
    *,
    spacing: Spacing | tuple[float, float] | float | None = None,
    lungs: Definition = "field",
    flip: bool = False,
    **network: Unpack[Network],
) -> Segmentation:
    """Find the lungs in a frontal chest film.

    Args:
        source: a file's path, its bytes, or the file opened for reading in binary mode; a picture
            of Pillow; or pixels in which brighter means denser (bone white, air black): (H, W) of
            any real dtype, or (H, W, 3) uint8 in RGB.
        spacing: between pixels in mm, one number or (rows, columns); replaces the spacing in the
            file.
        lungs: `field` leaves heart and mediastinum out, `whole` holds the lung behind them too.
        flip: mirror the film left to right before it is segmented, for a film that is stored
            mirrored. The result lies on the film as it was given, and `right` is the patient's.
        fast: take the smaller shipped network, as `--fast` of the command line does.
        weights: an ONNX file made by `pleura export`, or its bytes; or several of them, whose
            probability maps are averaged; None for the shipped ones.
        engine: an engine that is already loaded, in place of `weights`.

    Returns:
        The lungs at the film's native size. The network stays in memory for the next call; calls
        from several threads are safe.

    Raises:
        UnreadableFilm: an unknown image format, or a damaged file.
        UnsuitableFilm: an image, but no frontal chest film that can be segmented.
        UsageError: the weights lack that definition, or an argument is wrong.
        WeightsError: the weights are missing, altered, or no weights.
    """
    film = read_source(source)
    if spacing is not None:
        film = _respaced(film, spacing)
    return Segmenter(_engine(**network), definition=lungs, flip=flip)(film)


def _respaced(film: Radiograph, spacing: Spacing | tuple[float, float] | float) -> Radiograph:
    """The film with the caller's spacing; a note names the spacing in the file."""
    if not isinstance(spacing, Spacing):
        row_mm, col_mm = (spacing, spacing) if isinstance(spacing, int | float) else spacing
        spacing = Spacing(float(row_mm), float(col_mm), "user")
    in_file, notes = film.spacing, film.notes
    if in_file is not None:
        notes = (
            *notes,
            f"the spacing given, {spacing.row_mm:g} x {spacing.col_mm:g} mm, took the place of "
            f"the file's, {in_file.row_mm:g} x {in_file.col_mm:g} mm ({in_file.source})",
        )
    return replace(film, spacing=spacing, notes=notes)


def _engine(
    weights: Weights | Sequence[Weights] | None = None,
    engine: Engine | None = None,
    *,
    fast: bool = False,
) -> Engine:
    if engine is not None:
        if weights is not None or fast:
            raise UsageError(
                "give an engine, or weights or fast, not both: an engine has its weights"
            )
        return engine
    if weights is not None and fast:
        raise UsageError("fast takes a smaller shipped network; leave it or weights out")
    if weights is not None and not isinstance(weights, bytes | str | Path) and not weights:
        raise UsageError("weights is empty; give one file or more, or None for the shipped weights")
    several = (weights,) if isinstance(weights, bytes | str | Path) else weights or ()
    contents = [
        given if isinstance(given, bytes) else read_weights(Path(given)) for given in several
    ]
    with _LOADING:  # or two threads would both load the network
        return _loaded_engine(*contents) if contents else _shipped_engine(fast)


@cache
def _shipped_engine(fast: bool) -> Engine:
    return open_weights(choice=Choice(fast=fast))


@lru_cache(maxsize=2)
def _loaded_engine(*weights: bytes) -> Engine:
    return open_weights(*weights)
