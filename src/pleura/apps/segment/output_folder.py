"""The output folder of a run, and what must not be overwritten in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from pleura.core.errors import DiskFull, FilmError, OutputError, UsageError
from pleura.core.types import Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.files.atomic import check_takes_files
from pleura.io.files.listings import FolderListings
from pleura.io.files.remote import is_remote, local_or_remote, name_of
from pleura.io.film import DecodedFilm
from pleura.io.images.write.coco import MERGED, merge_coco
from pleura.io.outputs import output_endings, write_outputs
from pleura.io.run.find import FilmFile
from pleura.io.run.lock import locked_folder
from pleura.io.run.report import RUN, Run
from pleura.io.run.row import DONE, Row, done_row
from pleura.io.run.shard import Shard, shards_in
from pleura.io.run.table import RESULTS, Rows, RowSummary, read_names

__all__ = ["OutputFolder"]

_START_S = 10.0
"""How long a shard that starts may wait for other shards that start, s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFolder:
    """An output folder, the formats written to it, and what becomes of the files in it."""

    out: Path
    formats: tuple[str, ...]
    resume: bool = False
    """Continue an earlier run: films with a row and all their files are kept."""

    overwrite: bool = False
    """Start again, and replace the files that are there."""

    uid: bool = False
    """The table also has the UIDs of DICOM films."""

    shard: Shard | None = None
    """The part of the films that this run segments; None for all films."""

    @property
    def records(self) -> Path:
        """The folder with the table, the report, the journal and the lock of this run."""
        return self.out if self.shard is None else self.out / self.shard.folder

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Lock the folder for this run; yield False if the file system has no locks.

        Shards lock a folder each, so that they run side by side.

        Raises:
            UsageError: another run is writing there, or a run of another kind has results there.
        """
        with ExitStack() as stack:
            if self.shard is None:
                locked = stack.enter_context(locked_folder(self.out))
                self._check_no_shards()
            else:
                with locked_folder(self.out, patience_s=_START_S):
                    self._check_shard(self.shard)
                    locked = stack.enter_context(locked_folder(self.records))
            yield locked

    def leave_out(self, inputs: Sequence[str]) -> Path | None:
        """The folder that the search for films skips: this one; None if an input lies in it.

        Raises:
            UsageError: this folder is one of the inputs, so that masks would mix with films.
        """
        out = _absolute(self.out)
        places = [_absolute(given) for given in inputs]
        if out in places and out.is_dir():
            raise UsageError(
                f"the output folder {self.out} is also an input: the next run would take masks for "
                "films; give another --out, it may lie inside the films' folder"
            )
        return None if any(place.is_relative_to(out) for place in places) else out

    def films_of_run(self, films: Sequence[FilmFile]) -> list[FilmFile]:
        """The films that this run segments, in their order: all, or those of its shard."""
        shard = self.shard
        return [f for f in films if shard is None or shard.has(f.name)]

    def check_options(self) -> None:
        """Check the options before any file is made.

        Raises:
            UsageError: an option is wrong; the message names it.
        """
        if is_remote(self.out):
            raise UsageError(
                "results are written to a folder: give one, and copy it to "
                f"{name_of(self.out)} afterwards"
            )
        if self.resume and self.overwrite:
            raise UsageError("--resume keeps what is there, --overwrite does not: give only one")
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"the output {self.out} is a file; give a folder")

    def names(self) -> dict[str, str]:
        """With `resume`, the names of results of earlier runs, by the film's path; they are kept.

        Raises:
            UsageError: the table there was not written by Pleura.
        """
        table = self.records / RESULTS
        if not (self.resume and table.exists()):
            return {}
        return read_names(table)

    def check(self, films: Sequence[FilmFile], report: Run) -> None:
        """Prevent overwriting films, the files of another run, or results without `overwrite`.

        Raises:
            UsageError: a file is in the way; the message names it and an option that helps.
        """
        has_results = any((self.records / name).exists() for name in (RESULTS, RUN))
        if has_results and not (self.resume or self.overwrite):
            raise UsageError(
                f"{self.records} holds results already; continue with --resume, start again with "
                "--overwrite, or give another --out"
            )
        if has_results and self.resume:
            self._check_same_run(report, self.records)
        if self.shard is not None:
            self._check_other_shards(report, self.shard)
        sources = {film.source for film in films}
        for path in self._outputs(films):
            if path in sources:
                raise UsageError(f"the result {path} would overwrite a film; give another --out")
            if not has_results and not self.overwrite and os.path.isfile(path):  # noqa: PTH113
                raise UsageError(
                    f"{path} exists and is no result of an earlier run; "
                    "give another --out, or --overwrite to replace it"
                )

    def unfinished(self, films: Sequence[FilmFile], rows: Rows) -> list[FilmFile]:
        """The films without a row, or that failed, or whose files are not all there.

        Raises:
            UsageError: a name belongs to another film of an earlier run.
        """
        endings = output_endings(self.formats)
        without_lungs = output_endings(_without_crop(self.formats))
        there = FolderListings(str(self.out))
        left = []
        for film in films:
            row = rows.summary(film.name)
            if row is not None and self._is_done(film, row):
                wanted = endings if row.lungs_area_px not in ("", "0") else without_lungs
                if all(film.name + ending in there for ending in wanted):
                    continue
            left.append(film)
        return left

    @property
    def needs_header(self) -> bool:
        """Whether films are read with their DICOM header."""
        return self.uid or self._has_dicom

    @property
    def _has_dicom(self) -> bool:
        return any(name in DICOM_FORMATS for name in self.formats)

    def write(self, file: FilmFile, film: DecodedFilm, segmentation: Segmentation) -> Row:
        """Write a film's files; its row, without the seconds.

        Raises:
            FilmError: a file of this film cannot be written; for example, its name is too long.
            OutputError: no file can be written here any more.
        """
        stem = self.out / file.name
        try:
            header = film.dicom_header() if self._has_dicom else None
            written = write_outputs(segmentation, stem, self.formats, film=file.path, header=header)
        except DiskFull:
            raise
        except OutputError as error:
            check_takes_files(self.out)
            raise FilmError(str(error)) from error
        mask = written[0].relative_to(self.out) if "mask" in self.formats else None
        row = done_row(segmentation, PurePath(file.name), path=file.source, mask=mask)
        return replace(row, uid=film.uid) if self.uid else row

    def finish(self, rows: Iterable[Row], *, version: str) -> None:
        """Write the files that hold all films of a run: coco.json. `rows` are sorted by film.

        Raises:
            OutputError: it cannot be written.
        """
        if "coco" in self.formats and self.shard is None:
            done = (row for row in rows if row.status == DONE)
            names = ((row.film, _image_name(row)) for row in done)
            merge_coco(self.out, names, version=version)

    def _is_done(self, film: FilmFile, row: RowSummary) -> bool:
        if row.path != film.source:
            raise UsageError(
                f"{self.out} holds the result '{film.name}' of another film, {row.path}; "
                f"give another --out for {film.source}, or --overwrite"
            )
        return row.status == DONE

    def _check_no_shards(self) -> None:
        if shards_in(self.out):
            raise UsageError(
                f"{self.out} holds shards of a run: continue each with its --shard and --resume, "
                f"put them together with `pleura results merge {self.out}`, or give another --out"
            )

    def _check_shard(self, shard: Shard) -> None:
        """Refuse a shard in the folder of a run over all films, or of another number of shards."""
        others = shards_in(self.out)
        if not others and (self.out / RESULTS).exists():
            raise UsageError(
                f"{self.out} holds the results of a run over all films; continue it with --resume "
                "and without --shard, or give another --out"
            )
        count = others[0].count if others else shard.count
        if count != shard.count:
            raise UsageError(
                f"{self.out} holds shards of {count}, not of {shard.count}: use --shard K/{count}, "
                "or give another --out"
            )

    def _check_other_shards(self, report: Run, shard: Shard) -> None:
        """Refuse other films, weights or options than those of the other shards."""
        digest = (report.shard or {})["films_sha256"]
        for other in shards_in(self.out):
            folder = self.out / other.folder
            before = _read_run(folder / RUN)
            if other == shard or not before:
                continue
            if before["shard"]["films_sha256"] != digest:
                raise UsageError(
                    f"shard {other} in {self.out} was started with other films (then "
                    f"{before['shard']['films']}, now {(report.shard or {})['films']}): give all "
                    "shards the same inputs, and segment films that came later into another --out"
                )
            self._check_same_run(report, folder)

    def _check_same_run(self, report: Run, records: Path) -> None:
        """Prevent mixing the results of other weights or options with those of `records`.

        Formats may be added: films that lack a file are then done again.
        """
        before = _read_run(records / RUN)
        if set(before.get("formats", ())) <= set(self.formats):
            before.pop("formats", None)
        now: dict[str, Any] = {
            "version": report.version,
            "weights_sha256": report.weights_sha256,
            "definition": report.definition,
            "flip": report.flip,
            "tta": report.tta,
            "formats": list(self.formats),
        }
        for name, value in now.items():
            if name in before and before[name] != value:
                raise UsageError(
                    f"{records} was started with {name} {_shown(before[name])}, now it is "
                    f"{_shown(value)}; resume with the same, or start again with --overwrite"
                )

    def _outputs(self, films: Iterable[FilmFile]) -> Iterator[str]:
        out = str(_absolute(self.out))
        if "coco" in self.formats and self.shard is None:
            yield os.path.join(out, MERGED)  # noqa: PTH118
        endings = output_endings(self.formats)
        above = os.path.join(out, "")  # noqa: PTH118
        for film in films:
            stem = above + (film.name if os.sep == "/" else film.name.replace("/", os.sep))
            yield from (stem + ending for ending in endings)


def _image_name(row: Row) -> str:
    """The file name of a film, with its folders below the output folder."""
    return (PurePath(row.film).parent / PurePath(row.path).name).as_posix()


def _without_crop(formats: Iterable[str]) -> tuple[str, ...]:
    """A film without lungs has no crop."""
    return tuple(name for name in formats if name != "crop")


def _read_run(path: Path) -> dict[str, Any]:
    """The report of an earlier run; empty if there is none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return {"flip": False, "tta": False, **report, "formats": report["options"]["formats"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _absolute(path: str | Path) -> Path:
    named = local_or_remote(path)
    if is_remote(named):
        return named
    return Path(os.path.abspath(named.expanduser()))  # noqa: PTH100 (links stay as named)
