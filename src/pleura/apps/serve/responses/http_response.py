"""HTTP responses with the results of one film or of several."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fastapi.responses import JSONResponse, Response, StreamingResponse

from pleura.apps.serve.requests.uploads import Upload
from pleura.apps.serve.responses.film_response import (
    FilmResponse,
    Outcome,
    ResponseOptions,
    failed_film_row,
)
from pleura.apps.serve.responses.problem_details import problem_details
from pleura.core.types import Quality
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.outputs import table_csv
from pleura.io.run.row import Row

__all__ = [
    "QUALITY_HEADERS",
    "several_films_response",
    "single_film_response",
    "streamed_films_response",
]

NDJSON = "application/x-ndjson"

_MEDIA_TYPES = {
    "coco": "application/json",
    "nifti": "application/gzip",
    "npy": "application/octet-stream",
    "overlay-jpeg": "image/jpeg",
    "probabilities": "application/octet-stream",
}
"""Of the files that are neither PNG nor DICOM."""

QUALITY_HEADERS = (
    "Pleura-Verdict",
    "Pleura-Estimated-Dice",
    "Pleura-Uncertainty",
    "Pleura-Doubts",
    "Pleura-Heart-Verdict",
    "Pleura-Heart-Doubts",
)
"""The headers with the verdict."""


def single_film_response(film: FilmResponse, options: ResponseOptions) -> Response:
    """The response to one film in the format of `options`."""
    if isinstance(film.content, bytes):
        headers = quality_headers(film.quality)
        return Response(film.content, headers=headers, media_type=media_type(options.format))
    if isinstance(film.content, list):
        return _csv_response(film.content)
    assert isinstance(film.content, dict)
    if options.format == "ndjson":
        return Response(_line(film.content), media_type=NDJSON)
    return JSONResponse(film.content)


def media_type(name: str) -> str:
    """The media type of one of `FILE_FORMATS`."""
    if name in DICOM_FORMATS:
        return "application/dicom"
    return _MEDIA_TYPES.get(name, "image/png")


def several_films_response(
    uploads: list[Upload], outcomes: list[Outcome], options: ResponseOptions
) -> Response:
    """The response to the films of a form, as JSON or CSV; a film that failed has its error."""
    pairs = list(zip(uploads, outcomes, strict=True))
    if options.format == "csv":
        return _csv_response([row for pair in pairs for row in _rows(*pair)])
    return JSONResponse({"results": [_json_result(*pair) for pair in pairs]})


def streamed_films_response(
    uploads: list[Upload], outcomes: AsyncIterator[tuple[int, Outcome]]
) -> Response:
    """The response to the films of a form as lines of JSON, each sent as soon as it is there."""

    async def lines() -> AsyncIterator[bytes]:
        async for index, outcome in outcomes:
            yield _line({"index": index, **_json_result(uploads[index], outcome)})

    uploads = [replace(upload, content=b"") for upload in uploads]  # the workers have them
    return StreamingResponse(lines(), media_type=NDJSON)


def _line(result: dict[str, Any]) -> bytes:
    return json.dumps(result, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def quality_headers(quality: Quality) -> dict[str, str]:
    """The verdict as HTTP headers, for the formats that have no other place for it."""
    headers: dict[str, str] = {"Pleura-Verdict": quality.verdict}
    if quality.estimated_dice is not None:
        headers["Pleura-Estimated-Dice"] = f"{quality.estimated_dice:.4g}"
    if quality.uncertainty is not None:
        headers["Pleura-Uncertainty"] = f"{quality.uncertainty:.4g}"
    if quality.doubts:
        headers["Pleura-Doubts"] = ", ".join(doubt.code for doubt in quality.doubts)
    if quality.heart is not None:
        headers["Pleura-Heart-Verdict"] = quality.heart.verdict
        if quality.heart.doubts:
            codes = (doubt.code for doubt in quality.heart.doubts)
            headers["Pleura-Heart-Doubts"] = ", ".join(codes)
    return headers


def _rows(upload: Upload, outcome: Outcome) -> list[Row]:
    if isinstance(outcome, Exception):
        return [failed_film_row(upload.name, problem_details(outcome)["detail"])]
    assert isinstance(outcome.content, list)
    return outcome.content


def _json_result(upload: Upload, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        return {"film": upload.name, "status": "failed", "problem": problem_details(outcome)}
    assert isinstance(outcome.content, dict)
    return outcome.content


def _csv_response(rows: list[Row]) -> Response:
    return Response(table_csv(rows), media_type="text/csv")
