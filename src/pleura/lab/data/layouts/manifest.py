r"""The layout of a folder with a `manifest.csv`: one row a film, with labels by grey value.

Columns: `COLUMNS`, also under `HEADINGS`. Only image is required; without id, the image's stem is
the id. Other columns are not used. Paths are relative to the manifest; `/` or
`\\` separates folders.

`labels` gives the meaning of the mask's values: a channel (`field`: any non-zero pixel), or
`channel=value` pairs joined by `;`, such as `whole=255;ignore=127`. In a coloured picture the value
may be a colour (`#ff0000`), in annotations and DICOM segmentations it is a structure's name. If a
structure has a file of its own, a column `mask_<channel>` (`mask_left_field`) names it, and every
non-zero pixel counts. For a film without a mask the mask columns are empty.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.errors import DataError
from pleura.io.annotations.read import ANNOTATION_SUFFIXES
from pleura.lab.data.film import IGNORE, Film, MaskPart
from pleura.lab.data.layouts.annotated import AnnotationIndex
from pleura.lab.data.layouts.files import segments_of
from pleura.lab.data.layouts.public_sets.nlm import SOURCES
from pleura.lab.data.layouts.structures import channel_named, is_colour
from pleura.lab.data.split import part_named, read_text, separator_of

__all__ = ["EXPECTS", "matches", "read_manifest"]

log = logging.getLogger(__name__)

EXPECTS = "manifest.csv (or a .csv file itself) with columns id, image, mask, labels, split, ..."

Meaning: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a structure's name and its channel."""

IndexOf: TypeAlias = Callable[[Path, Meaning], AnnotationIndex]
"""(annotation file, meanings) -> its films by name."""

COLUMNS = ("id", "image", "mask", "split", "patient", "labels", "condition", "source", "weight")

UNREAD = ("width", "height", "comment", "comments", "notes", "")
"""Headings that are not used and not worth a message."""

HEADINGS = {
    "id": ("film", "film_id", "image_id"),
    "image": (
        *("image_path", "image_file", "image_name", "img", "img_path", "film_path", "filepath"),
        *("path", "file", "filename", "file_name"),
    ),
    "mask": ("mask_path", "mask_file", "mask_name", "label_path", "segmentation", "seg"),
    "split": ("subset", "set", "partition"),
    "patient": (
        "patient_id",
        "patientid",
        "patient_name",
        "subject",
        "subject_id",
        "pid",
        "case_id",
    ),
    "source": ("hospital", "site", "center", "centre", "dataset"),
    "condition": ("diagnosis", "finding", "pathology"),
}
"""Column -> other headings for it, in lower case with `_` for spaces."""

PART_COLUMNS = {f"mask_{channel}": channel for channel in (*KNOWN_CHANNELS, IGNORE)}
"""Columns that name a structure's own file."""


def matches(path: Path) -> bool:
    """Whether this is a manifest, or a folder with one."""
    return (path / "manifest.csv").is_file() or (path.is_file() and path.suffix.lower() == ".csv")


def read_manifest(path: Path) -> list[Film]:
    """The films of a manifest, or of the folder that holds `manifest.csv`, in its order."""
    table = path / "manifest.csv" if path.is_dir() else path
    if not table.is_file():
        raise DataError(f"{path}: no manifest.csv here")

    @cache  # a file of many films is indexed once, not for each of them
    def index_of(annotations: Path, meanings: Meaning) -> AnnotationIndex:
        return AnnotationIndex([annotations], dict(meanings))

    return [_film(row, table, index_of) for row in _rows(table)]


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows under the known columns, without empty ones; other columns are logged."""
    text = read_text(table)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text))
    given = next(reader, [])
    names = _headings(given)
    _require_columns(table, given, set(names.values()))
    rows = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if any(cells[len(given) :]):
            raise DataError(
                f"{table}: line {reader.line_num} has {len(cells)} values for {len(given)} columns:"
                f" {', '.join(cells)}; write a value that contains the separator in quotes"
            )
        rows.append({names[i]: cell for i, cell in enumerate(cells) if i in names})
    if not rows:
        raise DataError(f"{table}: no row at all; expected one row a film")
    return rows if "id" in names.values() else _with_ids(rows)


def _with_ids(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with the image's stem as id; with its folders too, if stems occur twice."""
    paths = [_local(row.get("image", "")).with_suffix("") for row in rows]
    distinct = len({path.name for path in paths}) == len(set(paths))
    names = [path.name if distinct else "_".join(path.parts) for path in paths]
    return [{**row, "id": name} for row, name in zip(rows, names, strict=True)]


def _headings(given: Sequence[str]) -> dict[int, str]:
    """Index of a column -> its meaning: `Image Path` is image if no column is called image."""
    plain = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in given]
    meanings: dict[int, str] = {}
    for column in (*COLUMNS, *PART_COLUMNS):
        for name in (column, *HEADINGS.get(column, ())):
            if name in plain:
                meanings[plain.index(name)] = column
                break
    return meanings


def _require_columns(table: Path, given: Sequence[str], known: set[str]) -> None:
    """Raise `DataError` without a column of films; log the columns that are not used."""
    if "image" not in known:
        raise DataError(
            f"{table}: column image missing; it has the columns {', '.join(given) or '(none)'}; "
            f"known are {', '.join(COLUMNS)}, and mask_ with a channel, such as mask_heart"
        )
    unused = [name for i, name in enumerate(given) if i not in _headings(given)]
    unused = [name for name in unused if name.strip().lower() not in UNREAD]
    if unused:
        log.warning(
            "%s: columns that are not used: %s; known are %s",
            *(table, ", ".join(unused), ", ".join(COLUMNS)),
        )


def _local(path: str) -> Path:
    """A path of a manifest; those of Windows have backslashes."""
    return Path(path.replace("\\", "/"))


def _film(row: dict[str, str], table: Path, index_of: IndexOf) -> Film:
    for column in ("id", "image"):
        if not row.get(column):
            raise DataError(f"{table}: a row without {column}: {row}")
    folder, prefix = table.parent, row["id"].split("_")[0]
    image = folder / _local(row["image"])
    try:
        masks, weight = _parts(row, table, index_of), _weight(row.get("weight") or "1")
    except DataError as error:
        raise DataError(f"{table}: film {row['id']}: {error}") from error
    return Film(
        id=row["id"],
        source=row.get("source") or SOURCES.get(prefix, folder.resolve().name),
        image=image,
        masks=masks,
        split=part_named(row.get("split") or "") or None,
        patient=row.get("patient") or "",
        condition=row.get("condition") or "",
        weight=weight,
    )


def _weight(text: str) -> float:
    """How often training uses a film; a decimal comma is read too."""
    try:
        weight = float(text.replace(",", "."))
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise DataError(f"weight {text!r}: expected a number above 0, such as 2 or 0.5")
    return weight


def _parts(row: dict[str, str], table: Path, index_of: IndexOf) -> tuple[MaskPart, ...]:
    folder = table.parent
    parts = tuple(
        MaskPart(folder / _local(row[column]), channel)
        for column, channel in PART_COLUMNS.items()
        if row.get(column)
    )
    if not row.get("mask"):
        return parts
    path = folder / _local(row["mask"])
    labels = [text.strip() for text in (row.get("labels") or "").split(";")]
    meanings = dict(_meaning(label) for label in labels if "=" in label)
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        index = index_of(path, tuple(meanings.items()))
        return (*parts, *index.parts_of(row["id"], folder / _local(row["image"])))
    segments = segments_of(path, meanings) if path.is_file() else ()
    return (*parts, *(segments or (_labelled(label or "field", path) for label in labels)))


def _labelled(label: str, path: Path) -> MaskPart:
    """The part of a picture that `channel`, `channel=value` or `channel=#rrggbb` describes."""
    if "=" not in label:
        return MaskPart(path, _channel(label))
    value, channel = _meaning(label)
    if is_colour(value):
        return MaskPart(path, channel, structure=value)
    if not value.isdecimal():
        raise DataError(
            f"label {label!r}: expected name=value with a whole number or a colour #rrggbb, "
            "or a name"
        )
    return MaskPart(path, channel, int(value))


def _meaning(label: str) -> tuple[str, str]:
    """`name=value` -> value, in lower case, and channel."""
    name, _, value = label.partition("=")
    return value.strip().lower(), _channel(name.strip())


def _channel(name: str) -> str:
    """The channel that a usual name means, such as `right lung`; an unknown name as it is."""
    return channel_named(name) or name
