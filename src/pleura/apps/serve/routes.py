"""The addresses of the service."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response

import pleura
from pleura.apps.serve.answers import Told, Wish, no_row
from pleura.apps.serve.limits import Part
from pleura.apps.serve.metrics import CONTENT_TYPE_LATEST
from pleura.apps.serve.problems import problem, respond
from pleura.apps.serve.query import check_query, parameters, wish_of
from pleura.apps.serve.schemas import PROBLEMS, READY, SEGMENTATIONS
from pleura.apps.serve.service import Outcome, Service
from pleura.apps.serve.uploads import Upload, is_multipart, receive
from pleura.core.errors import UsageError
from pleura.core.types import Quality
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.outputs import film_png, table_csv
from pleura.io.run.row import Row
from pleura.phantom.film import draw

__all__ = ["addresses"]

addresses = APIRouter(dependencies=[Depends(check_query)], responses=PROBLEMS)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]


@addresses.post("/v1/segmentations", tags=["films"], openapi_extra=SEGMENTATIONS)
async def segmentations(
    request: Request,
    service: TheService,
    asked: Annotated[tuple[str, Wish], Depends(parameters)],
    authorization: Annotated[str, Header(include_in_schema=False)] = "",
    x_api_key: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Find the lungs in the film that is the body, or in each film of a form.

    A body that is a film is answered with its result, or with a problem. A form is answered
    `{"results": [...]}`, one a film in the order they came, each with its `status`.
    """
    service.check_key(authorization, x_api_key)
    wish = wish_of(asked, service.engine.card)
    service.line.check_room()
    part = service.hold.part()
    try:
        return await service.unless_given_up(_answer(request, service, part, wish))
    finally:
        part.leave()


async def _answer(request: Request, service: Service, part: Part, wish: Wish) -> Response:
    uploads = await receive(request, service.limits, part)
    if wish.kind not in ("json", "csv") and len(uploads) > 1:
        raise UsageError("a file is of one film; send one at a time, or ask for format=json")
    outcomes = await service.segment(uploads, wish, part)
    if is_multipart(request) and wish.kind in ("json", "csv"):
        return _many(uploads, outcomes, wish)
    outcome = outcomes[0]
    return respond(request, outcome) if isinstance(outcome, Exception) else _one(outcome, wish)


@addresses.get("/v1/model", tags=["service"])
async def model(service: TheService) -> dict[str, Any]:
    """The weights: their card, and what one request may bring."""
    engine = service.engine
    return {
        "version": pleura.__version__,
        "weights_sha256": engine.weights_sha256,
        "engine": engine.name,
        "definitions": list(engine.card.definitions),
        "card": asdict(engine.card),
        "limits": asdict(service.limits),
        "needs_key": service.key is not None,
    }


@addresses.get("/v1/example.png", tags=["films"], response_class=Response)
def example() -> Response:
    """A drawn film, nobody's, to try the service on."""
    return Response(_example_png(), media_type="image/png")


@addresses.get("/healthz", tags=["service"])
async def alive() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "alive"}


@addresses.get("/readyz", tags=["service"], responses=READY)
async def ready(service: TheService) -> JSONResponse:
    """Whether a film would be taken now; 503 while the queue is full or a worker is stuck."""
    status = service.status()
    line = service.line
    told = {"status": status, "held": line.held, "places": line.places, "stuck": line.stuck}
    return JSONResponse(told, 200 if status == "ready" else 503)


@addresses.get("/metrics", tags=["service"], response_class=Response)
async def metrics(service: TheService) -> Response:
    """Counters in Prometheus's text format."""
    return Response(service.figures.text(), media_type=CONTENT_TYPE_LATEST)


@addresses.get("/openapi.json", include_in_schema=False)
async def description(request: Request) -> JSONResponse:
    """What all addresses take and answer, in OpenAPI."""
    return JSONResponse(request.app.openapi())


@lru_cache(maxsize=1)
def _example_png() -> bytes:
    return film_png(draw(768, 672).radiograph)


def _one(told: Told, wish: Wish) -> Response:
    if isinstance(told.payload, bytes):
        media_type = "application/dicom" if wish.kind in DICOM_FORMATS else "image/png"
        return Response(told.payload, headers=_verdict(told.quality), media_type=media_type)
    if isinstance(told.payload, list):
        return _table(told.payload)
    return JSONResponse(told.payload)


def _verdict(quality: Quality) -> dict[str, str]:
    """The headers of a file, which has no other place for it."""
    headers: dict[str, str] = {"Pleura-Verdict": quality.verdict}
    if quality.estimated_dice is not None:
        headers["Pleura-Estimated-Dice"] = f"{quality.estimated_dice:.4g}"
    if quality.doubts:
        headers["Pleura-Doubts"] = ", ".join(doubt.code for doubt in quality.doubts)
    return headers


def _many(uploads: list[Upload], outcomes: list[Outcome], wish: Wish) -> Response:
    pairs = list(zip(uploads, outcomes, strict=True))
    if wish.kind == "csv":
        return _table([row for pair in pairs for row in _rows(*pair)])
    return JSONResponse({"results": [_result(*pair) for pair in pairs]})


def _rows(upload: Upload, outcome: Outcome) -> list[Row]:
    if isinstance(outcome, Exception):
        return [no_row(upload.name, problem(outcome)["detail"])]
    assert isinstance(outcome.payload, list)
    return outcome.payload


def _result(upload: Upload, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        return {"film": upload.name, "status": "failed", "problem": problem(outcome)}
    assert isinstance(outcome.payload, dict)
    return outcome.payload


def _table(rows: list[Row]) -> Response:
    return Response(table_csv(rows), media_type="text/csv")
