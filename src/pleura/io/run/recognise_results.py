"""Recognising files that earlier runs wrote, so that they are not segmented as films.

Which films `--resume` leaves out is decided in `apps.segment.output_folder`.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from pleura.io.files.open_file import open_file
from pleura.io.images.write.coco import MERGED
from pleura.io.outputs import FORMATS
from pleura.io.run.cells import name_in
from pleura.io.run.naming import split_suffix
from pleura.io.run.report import RUN
from pleura.io.run.row import COLUMNS
from pleura.io.run.shard import shards_in
from pleura.io.run.table import RESULTS

__all__ = ["EarlierResults", "is_beside_its_film", "may_be_result", "stems_of"]

_ENDINGS = tuple(ending for form in FORMATS.values() for ending in form.endings)
_OF_RUN = frozenset({RESULTS, RUN, MERGED})
_BESIDE = ("_mask.png", "_labels.png", "_overlay.png", "_overlay.jpg")
"""Endings of files that are results if the film of the same stem lies in the same folder."""

_CROP = "_crop.png"
_CROP_MARK = b"pleura:box"
_HEAD = 4096  # bytes; text fields come before the pixels


class EarlierResults:
    """The results of earlier runs in the folders that were searched so far.

    A folder with a `results.csv` of Pleura is an output folder: the files of the films in that
    table are results. A crop is recognised by its text field; a mask, a label map or an overlay
    that was moved elsewhere is recognised by the film beside it.
    """

    def __init__(self) -> None:
        self._runs: dict[str, tuple[tuple[Path, frozenset[str]], ...]] = {}

    def __contains__(self, path: Path) -> bool:
        """Whether `path` is a result, or the table or report of a run."""
        if not may_be_result(path.name):
            return False
        of_run = path.name in _OF_RUN
        runs = self._runs_above(path.parent)
        if of_run:
            return any(path.parent == root for root, _ in runs)
        ending = next(end for end in _ENDINGS if path.name.endswith(end))
        for root, films in runs:
            stem = path.relative_to(root).as_posix().removesuffix(ending)
            if stem in films:
                return True
        return ending == _CROP and _is_crop(path)

    def _runs_above(self, folder: Path) -> tuple[tuple[Path, frozenset[str]], ...]:
        """The output folders of earlier runs that contain `folder`, and their films' names."""
        unknown, place = [], folder
        while str(place) not in self._runs:
            unknown.append(place)
            if place == place.parent:
                break
            place = place.parent
        for place in reversed(unknown):
            above = self._runs.get(str(place.parent), ())
            films = _films_of_run(place)
            self._runs[str(place)] = (*above, (place, films)) if films else above
        return self._runs[str(folder)]


def stems_of(names: Iterable[str]) -> frozenset[str]:
    """The stems of a folder's files that have the suffix of a film."""
    parts = map(split_suffix, names)
    return frozenset(stem for stem, suffix in parts if suffix)


def is_beside_its_film(name: str, stems: Collection[str]) -> bool:
    """Whether the file is a mask, label map or overlay of one of the films `stems`."""
    if not name.endswith(_BESIDE):
        return False
    return any(name.endswith(end) and name.removesuffix(end) in stems for end in _BESIDE)


def may_be_result(name: str) -> bool:
    """Whether a result may have such a file name; what lies around it decides."""
    return name in _OF_RUN or name.endswith(_ENDINGS)


def _films_of_run(folder: Path) -> frozenset[str]:
    """The names of the films in a folder's table, and in those of its shards."""
    tables = [folder / RESULTS]
    with suppress(OSError):
        tables += [folder / shard.folder / RESULTS for shard in shards_in(folder)]
    return frozenset().union(*map(_films_in, tables))


def _films_in(table: Path) -> frozenset[str]:
    """The names of the films in a `results.csv`; empty without such a table."""
    with suppress(OSError, ValueError, csv.Error), open_file(table) as file:
        lines = file.read().decode("utf-8", errors="surrogateescape").split("\n")
        rows = csv.reader(lines)
        if next(rows, [])[:3] == list(COLUMNS[:3]):
            return frozenset(name_in(cells[0]) for cells in rows if cells)
    return frozenset()


def _is_crop(path: Path) -> bool:
    with suppress(OSError), open_file(path) as file:
        return _CROP_MARK in file.read(_HEAD)
    return False
