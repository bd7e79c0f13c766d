"""The zip file with the results of a request: the files that `pleura segment` writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from fastapi.responses import Response

from pleura._version import __version__
from pleura.apps.serve.responses.film_response import FilmFiles, Outcome, ResponseOptions
from pleura.apps.serve.responses.problem_details import problem_details
from pleura.io.images.write.coco import ENDING as COCO_ENDING
from pleura.io.images.write.coco import MERGED, merged_coco, read_coco
from pleura.io.outputs import output_endings, table_csv
from pleura.io.run.naming import unique_names
from pleura.io.run.report import COMPLETE, RUN, Run, run_json
from pleura.io.run.row import DONE, FAILED, Row, failed_row
from pleura.io.run.table import RESULTS
from pleura.runtime.engine import Engine

__all__ = ["ZipRequest", "result_names", "zip_response"]

ZIP = "application/zip"

_LEVEL = 1  # PNG files hardly get smaller; DICOM segmentations do
_DRIVE = re.compile("[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class ZipRequest:
    """The films of a request that is answered with a zip file."""

    names: Sequence[str]
    """The client's names of the films, empty for a film without one."""

    options: ResponseOptions
    started: datetime


def zip_response(request: ZipRequest, outcomes: Sequence[Outcome], engine: Engine) -> Response:
    """The zip file; a film that failed has a row with the reason, as in the command line's table.

    It blocks while it compresses.
    """
    films = list(zip(result_names(request.names), request.names, outcomes, strict=True))
    rows = sorted((_row(*film) for film in films), key=lambda row: row.film)
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for stem, _, outcome in films:
            for ending, data in _files(outcome).items():
                archive.writestr(f"{stem.as_posix()}{ending}", data)
        if "coco" in request.options.files:
            archive.writestr(MERGED, "".join(merged_coco(_coco(films), version=__version__)))
        archive.writestr(RESULTS, table_csv(rows).encode("utf-8", errors="surrogateescape"))
        archive.writestr(RUN, run_json(_run(request, rows, engine)))
    headers = {"Content-Disposition": 'attachment; filename="pleura.zip"'}
    return Response(content.getvalue(), headers=headers, media_type=ZIP)


def result_names(names: Sequence[str]) -> list[PurePath]:
    """The paths of the films' results without suffix, unique, and inside of the zip file.

    Films are named as those of a run of the command line. Films of the same name get a folder with
    their number in the request, from 1.
    """
    parts = [_parts(name) for name in names]
    paths = [str(Path("/", str(number), *film)) for number, film in enumerate(parts, 1)]
    named = unique_names({path: len(film) - 1 for path, film in zip(paths, parts, strict=True)})
    return [PurePath(named[path]) for path in paths]


def _parts(name: str) -> list[str]:
    """The parts of a client's name, which may have folders, without steps out of them."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return [part for part in parts if not _DRIVE.fullmatch(part)] or ["film"]


def _files(outcome: Outcome) -> dict[str, bytes]:
    """The files of a film by their endings; none of a film that failed."""
    if isinstance(outcome, Exception):
        return {}
    assert isinstance(outcome.content, FilmFiles)
    return outcome.content.files


def _row(stem: PurePath, name: str, outcome: Outcome) -> Row:
    if isinstance(outcome, Exception):
        return failed_row(stem, path=PurePath(name), error=problem_details(outcome)["detail"])
    assert isinstance(outcome.content, FilmFiles)
    (ending,) = output_endings(["mask"])
    has_mask = ending in outcome.content.files
    row = outcome.content.row
    return replace(
        row, film=stem.as_posix(), mask=f"{stem.as_posix()}{ending}" if has_mask else None
    )


def _coco(films: Sequence[tuple[PurePath, str, Outcome]]) -> list[tuple[dict[str, Any], str]]:
    """The COCO object of each film, and the name of its image with its folders."""
    return [
        (read_coco(files[COCO_ENDING]), (stem.parent / _parts(name)[-1]).as_posix())
        for stem, name, outcome in sorted(films, key=lambda film: film[0].as_posix())
        if (files := _files(outcome))
    ]


def _run(request: ZipRequest, rows: Sequence[Row], engine: Engine) -> Run:
    options = request.options
    counts, verdicts = Counter(row.status for row in rows), Counter(row.verdict for row in rows)
    return Run(
        version=__version__,
        weights=engine.card.name,
        weights_sha256=engine.weights_sha256,
        engine=engine.name,
        definition=options.definitions[0],
        flip=options.flip,
        options={"made_by": "pleura serve", "force": options.photographs},
        status=COMPLETE,
        found=len(rows),
        done=counts[DONE],
        failed=counts[FAILED],
        skipped=0,
        review=verdicts["review"],
        refused=verdicts["refused"],
        started=request.started.isoformat(timespec="seconds"),
        seconds=round((datetime.now(request.started.tzinfo) - request.started).total_seconds(), 3),
    )
