"""One film's row in `results.csv`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from pathlib import PurePath
from typing import Any

from pleura.core.quality.verdict import DOUBTS
from pleura.core.types import Box, Measurements, Segmentation
from pleura.io.run.cells import name_cell, name_in, text_cell, text_in

__all__ = [
    "COLUMNS",
    "DONE",
    "FAILED",
    "Row",
    "are_cells",
    "done_row",
    "doubt_sentences",
    "failed_row",
]

DONE, FAILED = "done", "failed"
"""The values of `Row.status`."""

_DIGITS = 6  # significant, of a fractional number in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One film's row. None means undefined, and is an empty cell.

    Areas are in px and, if the spacing is known, in cm2; a box is `top left bottom right` in px,
    rows top <= r < bottom, columns left <= c < right.
    """

    film: str
    """The name of its results under the output folder, unique in the run; the table's key."""

    path: str
    """The path of the film itself."""

    status: str
    """`done` or `failed`."""

    mask: str | None = None
    """The mask's path under the output folder."""

    verdict: str = ""
    """`ok`, `review` or `refused`; empty for a film that failed."""

    estimated_dice: float | None = None
    """The estimated Dice of the lungs with a reader's mask."""

    uncertainty: float | None = None
    """How uncertain the network is about the lungs, in [0, 1]; None without lungs."""

    doubts: str = ""
    """Codes of the doubts, separated by `; `."""

    height: int | None = None
    width: int | None = None
    view: str | None = None
    lungs_area_px: int | None = None
    right_area_px: int | None = None
    left_area_px: int | None = None
    lungs_share: float | None = None
    right_to_left_ratio: float | None = None
    lungs_area_cm2: float | None = None
    right_area_cm2: float | None = None
    left_area_cm2: float | None = None
    spacing_row_mm: float | None = None
    spacing_col_mm: float | None = None
    spacing_source: str | None = None
    lungs_box: str | None = None
    right_box: str | None = None
    left_box: str | None = None
    heart_area_px: int | None = None
    cardiothoracic_ratio: float | None = None
    """Only where `heart_verdict` is `ok`."""

    heart_verdict: str = ""
    """`ok`, `review` or `refused`; empty where the weights have no heart."""

    heart_doubts: str = ""
    """Codes of the reasons for which there is no ratio, with `; ` between."""

    uid: str | None = None
    """The film's SOPInstanceUID; only if it was requested."""

    seconds: float | None = None
    """Time spent on this film, s."""

    notes: str = ""
    """Notes of decoding, of clean-up and of doubts that name a place, separated by `; `."""

    error: str = ""
    """The reason why the film failed."""

    def cells(self) -> list[str]:
        """The row as text, in the order of `COLUMNS`; each cell is on one line and no formula."""
        return [_cell(getattr(self, name), name) for name in COLUMNS]

    def as_json(self) -> dict[str, Any]:
        """The row for JSON: as in the table, but boxes are arrays of numbers."""
        values = asdict(self)
        for name in _BOXES:
            values[name] = None if values[name] is None else [int(n) for n in values[name].split()]
        return values

    @classmethod
    def from_cells(cls, cells: Mapping[str, str]) -> Row:
        """The inverse of `cells`, by column name. Raises `ValueError` for invalid cells."""
        values: dict[str, Any] = {
            name: read(cells[name]) if cells[name] else empty for name, read, empty in _READERS
        }
        return cls(**values)


COLUMNS = tuple(column.name for column in fields(Row))
"""The columns of `results.csv`, in order."""

_KINDS = {column.name: str(column.type) for column in fields(Row)}


def done_row(
    segmentation: Segmentation,
    film: PurePath,
    *,
    path: PurePath | str,
    mask: PurePath | None = None,
    seconds: float | None = None,
) -> Row:
    """The row of a film that was segmented; `film` and `mask` are relative to the output folder."""
    radiograph, measured = segmentation.radiograph, segmentation.measurements
    spacing = radiograph.spacing
    height, width = radiograph.size
    heart = segmentation.quality.heart
    return Row(
        film=film.as_posix(),
        path=str(path),
        status=DONE,
        mask=None if mask is None else mask.as_posix(),
        verdict=segmentation.quality.verdict,
        estimated_dice=segmentation.quality.estimated_dice,
        uncertainty=segmentation.quality.uncertainty,
        doubts="; ".join(doubt.code for doubt in segmentation.quality.doubts),
        heart_verdict="" if heart is None else heart.verdict,
        heart_doubts="" if heart is None else "; ".join(doubt.code for doubt in heart.doubts),
        height=height,
        width=width,
        view=radiograph.view,
        spacing_row_mm=None if spacing is None else spacing.row_mm,
        spacing_col_mm=None if spacing is None else spacing.col_mm,
        spacing_source=None if spacing is None else spacing.source,
        lungs_box=_box(measured.lungs_box),
        right_box=_box(measured.right_box),
        left_box=_box(measured.left_box),
        seconds=seconds,
        notes="; ".join(
            dict.fromkeys((*radiograph.notes, *segmentation.notes, *_particular(segmentation)))
        ),
        **{name: getattr(measured, name) for name in _MEASURED},
    )


def failed_row(
    film: PurePath, *, path: PurePath | str, error: str, seconds: float | None = None
) -> Row:
    """The row of a film that could not be segmented, with its reason."""
    return Row(film=film.as_posix(), path=str(path), status=FAILED, error=error, seconds=seconds)


def _particular(segmentation: Segmentation) -> list[str]:
    """The sentences of doubts that state more than their code, such as the edge a lung reaches."""
    return [
        doubt.text
        for doubt in segmentation.quality.doubts
        if doubt.text != DOUBTS.get(doubt.code, doubt.text)
    ]


def doubt_sentences(row: Row) -> str:
    """The sentences of a row's `doubts`; those that name a place are taken from its `notes`."""
    codes = [code for code in row.doubts.split("; ") if code in DOUBTS]
    return " ".join(_sentence(code, row.notes.split("; ")) for code in codes)


def _sentence(code: str, notes: list[str]) -> str:
    begin, _, end = DOUBTS[code].partition(":")
    return next((n for n in notes if n.startswith(begin) and n.endswith(end)), DOUBTS[code])


_MEASURED = tuple(
    measure.name
    for measure in fields(Measurements)
    if measure.name in COLUMNS and not measure.name.endswith(("_box", "_source"))
)


def _box(box: Box | None) -> str | None:
    return None if box is None else f"{box.top} {box.left} {box.bottom} {box.right}"


_NAMES = frozenset({"film", "path", "mask"})
"""Columns of names and paths, which are read back exactly."""

_BOXES = tuple(name for name in COLUMNS if name.endswith("_box"))


def _cell(value: str | float | None, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, int):
        return str(value)
    return name_cell(value) if column in _NAMES else text_cell(value)


def _reader(column: str) -> tuple[str, Callable[[str], Any], str | None]:
    """The column, what reads a cell of it, and the value of an empty cell."""
    kind = _KINDS[column]
    empty = "" if kind == "str" else None
    if "int" in kind or "float" in kind:
        return column, int if "int" in kind else float, empty
    return column, name_in if column in _NAMES else text_in, empty


_READERS = tuple(_reader(column) for column in COLUMNS)

_INTEGERS, _FRACTIONS = (
    itemgetter(*(n for n, (_, read, _) in enumerate(_READERS) if read is kind))
    for kind in (int, float)
)


def are_cells(cells: Sequence[str]) -> bool:
    """Whether `Row.from_cells` takes the cells of a line; much quicker than making the row."""
    if len(cells) != len(COLUMNS):
        return False
    try:
        deque(map(int, filter(None, _INTEGERS(cells))), maxlen=0)
        deque(map(float, filter(None, _FRACTIONS(cells))), maxlen=0)
    except ValueError:
        return False
    return True
