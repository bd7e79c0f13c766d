"""A folder with a `manifest.csv`: one row a film, with labels by grey value.

Columns: id, image, mask, split, patient, labels, condition (width and height are informative).
`labels` is a channel (`field`: any non-zero pixel) or `name=value` pairs joined by `;`.
"""

from __future__ import annotations

import csv
from pathlib import Path

from pleura.core.errors import DataError
from pleura.lab.films import Film, MaskPart

__all__ = ["read_manifest"]

ALIASES = {"field_right": "right_field", "field_left": "left_field"}
"""Other spellings of our channels met in manifests."""

SOURCES = {"CHNCXR": "shenzhen", "MCUCXR": "montgomery"}
"""Ids whose prefix tells the hospital, in sets that mix several."""


def read_manifest(path: Path) -> list[Film]:
    """The films of a manifest, or of the folder that holds `manifest.csv`, in its order."""
    table = path / "manifest.csv" if path.is_dir() else path
    if not table.is_file():
        raise DataError(f"{path}: no manifest.csv here")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = {"id", "image"} - set(rows[0] if rows else {})
    if missing:
        raise DataError(f"{table}: column {', '.join(sorted(missing))} missing or no row at all")
    return [_film(row, table.parent) for row in rows]


def _film(row: dict[str, str], folder: Path) -> Film:
    prefix = row["id"].split("_")[0]
    return Film(
        id=row["id"],
        source=row.get("source") or SOURCES.get(prefix, folder.resolve().name),
        image=folder / row["image"],
        masks=_parts(row, folder),
        split=row.get("split") or None,
        patient=row.get("patient") or row["id"],
        condition=row.get("condition") or "",
    )


def _parts(row: dict[str, str], folder: Path) -> tuple[MaskPart, ...]:
    if not row.get("mask"):
        return ()
    path, parts = folder / row["mask"], []
    for label in (row.get("labels") or "field").split(";"):
        name, _, value = label.strip().partition("=")
        channel = ALIASES.get(name, name)
        parts.append(MaskPart(path, channel, int(value) if value else None))
    return tuple(parts)
