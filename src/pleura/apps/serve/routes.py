"""The routes of the HTTP interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Security
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from pleura._version import __version__
from pleura.apps.serve.limits.upload_memory import RequestMemory
from pleura.apps.serve.metrics import CONTENT_TYPE_LATEST
from pleura.apps.serve.requests.corrections import measured, read_correction
from pleura.apps.serve.requests.query import (
    FORMATS_OF_MANY,
    QueryParameters,
    check_query,
    query_parameters,
    response_options,
)
from pleura.apps.serve.requests.uploads import Upload, is_multipart, receive_uploads
from pleura.apps.serve.responses.film_response import Outcome, ResponseOptions
from pleura.apps.serve.responses.http_response import (
    several_films_response,
    single_film_response,
    streamed_films_response,
)
from pleura.apps.serve.responses.openapi import (
    CORRECTIONS,
    MEASUREMENTS,
    METRICS,
    MODEL,
    PROBLEMS,
    READY,
    SEGMENTATIONS,
    described,
)
from pleura.apps.serve.responses.problem_details import error_response
from pleura.apps.serve.responses.zip_response import ZipRequest, zip_response
from pleura.apps.serve.service import Service
from pleura.core.errors import UsageError
from pleura.io.outputs import film_png
from pleura.phantom.film import draw

__all__ = ["router"]

router = APIRouter(dependencies=[Depends(check_query)], responses=PROBLEMS)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]
Parameters = Annotated[QueryParameters, Depends(query_parameters)]


_BEARER = HTTPBearer(scheme_name="bearer", description="The API key.", auto_error=False)
_API_KEY = APIKeyHeader(
    name="X-API-Key", scheme_name="header", description="The API key.", auto_error=False
)


async def _check_key(
    service: TheService,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    x_api_key: Annotated[str | None, Security(_API_KEY)],
) -> None:
    service.check_key((bearer.credentials if bearer else x_api_key) or "")


Key = Annotated[None, Depends(_check_key)]
"""The client's key is checked after the parameters."""


@contextmanager
def _upload_memory(service: Service) -> Iterator[RequestMemory]:
    """The memory for the uploads of a request, which is released at the end."""
    memory = service.upload_memory.for_request()
    try:
        yield memory
    finally:
        memory.release()


@router.post("/v1/segmentations", tags=["films"], openapi_extra=SEGMENTATIONS)
async def segmentations(
    request: Request,
    service: TheService,
    parameters: Parameters,
    _key: Key,
) -> Response:
    """Find the lungs in the film that is the body, or in each film of a form.

    A film as the body is answered with its result, or with a problem. A form is answered with
    `{"results": [...]}`: one result for each film, in the order of the form, each with its
    `status`. With `format=ndjson` each film's result is a line of its own, sent as soon as it is
    there; its `index` is the film's place in the form. `format=zip` gives the files that
    `pleura segment` writes, of all films.
    """
    options = response_options(parameters, service.engine.card)
    service.queue.check_room()
    with _upload_memory(service) as memory:
        return await service.run_until_stopped(
            _segment(request, service, memory, options, name=parameters.name)
        )


async def _segment(
    request: Request,
    service: Service,
    memory: RequestMemory,
    options: ResponseOptions,
    *,
    name: str,
) -> Response:
    uploads = await _named_uploads(request, service, memory, name)
    is_for_many = options.format in FORMATS_OF_MANY
    if not is_for_many and len(uploads) > 1:
        raise UsageError("a file is of one film; send one at a time, or ask for format=json")
    if is_multipart(request) and options.format == "ndjson":
        films = service.submit(uploads, options, memory)
        return streamed_films_response(uploads, service.as_completed(films))
    names, started = [upload.name for upload in uploads], datetime.now(UTC)
    outcomes = await service.segment(uploads, options, memory)
    if not is_multipart(request) and isinstance(outcomes[0], Exception):
        return error_response(request, outcomes[0])
    if options.format == "zip":
        zipped = ZipRequest(names, options, started)
        return await asyncio.to_thread(zip_response, zipped, outcomes, service.engine)
    if is_multipart(request) and is_for_many:
        return several_films_response(uploads, outcomes, options)
    return _response(request, outcomes[0], options)


_FORM_HAS_NAMES = "a form names its films; leave the parameter name out"


async def _named_uploads(
    request: Request, service: Service, memory: RequestMemory, name: str
) -> list[Upload]:
    """The films of a request; one that is the body gets the name of the parameter."""
    if name and is_multipart(request):
        raise UsageError(_FORM_HAS_NAMES)
    uploads = await receive_uploads(request, service.limits, memory)
    return [replace(upload, name=name) for upload in uploads] if name else uploads


def _response(request: Request, outcome: Outcome, options: ResponseOptions) -> Response:
    """The response for a single film."""
    if isinstance(outcome, Exception):
        return error_response(request, outcome)
    return single_film_response(outcome, options)


@router.post("/v1/corrections", tags=["films"], openapi_extra=CORRECTIONS)
async def corrections(
    request: Request,
    service: TheService,
    parameters: Parameters,
    _key: Key,
    editor: Annotated[str, Query(description="The name of who edited the masks.")] = "",
) -> Response:
    """The result of a film whose masks were edited by hand, in any format of a segmentation.

    The form holds two files: first the film, then `masks`, a JSON file with `right`, `left` and
    `heart` as COCO run lengths. The result says in its provenance that it was edited, by whom and
    when; a DICOM segmentation is a new object with the algorithm type SEMIAUTOMATIC.
    """
    if parameters.name:
        raise UsageError(_FORM_HAS_NAMES)
    options = response_options(parameters, service.engine.card)
    service.queue.check_room()
    with _upload_memory(service) as memory:
        return await service.run_until_stopped(
            _correct(request, service, memory, options, editor=editor)
        )


async def _correct(
    request: Request,
    service: Service,
    memory: RequestMemory,
    options: ResponseOptions,
    *,
    editor: str,
) -> Response:
    uploads = await receive_uploads(request, service.limits, memory)
    if len(uploads) != 2:
        raise UsageError("a correction is a form of two files: the film, then masks (JSON)")
    film, masks = uploads
    most_pixels = service.limits.film_pixels
    correction = await asyncio.to_thread(
        read_correction, masks.content, most_pixels=most_pixels, editor=editor
    )
    options, started = replace(options, correction=correction), datetime.now(UTC)
    (outcome,) = await service.segment([film], options, memory)
    if options.format == "zip" and not isinstance(outcome, Exception):
        zipped = ZipRequest([film.name], options, started)
        return await asyncio.to_thread(zip_response, zipped, [outcome], service.engine)
    return _response(request, outcome, options)


@router.post("/v1/measurements", tags=["films"], openapi_extra=MEASUREMENTS)
async def measurements(request: Request, service: TheService, _key: Key) -> dict[str, Any]:
    """The measurements of masks, without a film."""
    with _upload_memory(service) as memory:
        return await service.run_until_stopped(_measure(request, service, memory))


async def _measure(request: Request, service: Service, memory: RequestMemory) -> dict[str, Any]:
    masks, *_ = await receive_uploads(request, service.limits, memory)
    correction = await asyncio.to_thread(
        read_correction, masks.content, most_pixels=service.limits.film_pixels
    )
    return await asyncio.to_thread(measured, correction)


@router.get("/v1/model", tags=["service"], openapi_extra=MODEL)
async def model(service: TheService, _key: Key) -> dict[str, Any]:
    """The card of the weights, and the limits of a request."""
    engine = service.engine
    return {
        "version": __version__,
        "weights_sha256": engine.weights_sha256,
        "engine": engine.name,
        "definitions": list(engine.card.definitions),
        "card": asdict(engine.card),
        "limits": asdict(service.limits),
        "needs_key": service.key is not None,
    }


@router.get("/v1/example.png", tags=["films"], response_class=Response)
def example() -> Response:
    """A synthetic film, of no patient, to try the service with."""
    return Response(_example_png(), media_type="image/png")


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", tags=["service"])
async def alive() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", tags=["service"], responses=READY)
async def ready(service: TheService) -> JSONResponse:
    """Whether a film would be accepted now; 503 while the queue is full or a worker is stuck."""
    status, queue = service.status(), service.queue
    content = {
        "status": status, "held": queue.held, "places": queue.capacity, "stuck": queue.stuck,
    }  # fmt: skip
    return JSONResponse(content, 200 if status == "ready" else 503)


@router.get("/metrics", tags=["service"], response_class=Response, openapi_extra=METRICS)
async def metrics(service: TheService, _key: Key) -> Response:
    """Counters in Prometheus's text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI description of all routes."""
    has_key = request.app.state.service.key is not None
    return JSONResponse(described(request.app.openapi(), has_key=has_key))


@lru_cache(maxsize=1)
def _example_png() -> bytes:
    return film_png(draw(768, 672).radiograph)
