"""The routes of the HTTP interface."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from pleura._version import __version__
from pleura.apps.serve.limits.upload_memory import RequestMemory
from pleura.apps.serve.metrics import CONTENT_TYPE_LATEST
from pleura.apps.serve.requests.query import (
    QueryParameters,
    check_query,
    query_parameters,
    response_options,
)
from pleura.apps.serve.requests.uploads import is_multipart, receive_uploads
from pleura.apps.serve.responses.film_response import ResponseOptions
from pleura.apps.serve.responses.http_response import several_films_response, single_film_response
from pleura.apps.serve.responses.openapi import PROBLEMS, READY, SEGMENTATIONS
from pleura.apps.serve.responses.problem_details import error_response
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


@router.post("/v1/segmentations", tags=["films"], openapi_extra=SEGMENTATIONS)
async def segmentations(
    request: Request,
    service: TheService,
    parameters: Annotated[QueryParameters, Depends(query_parameters)],
    authorization: Annotated[str, Header(include_in_schema=False)] = "",
    x_api_key: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Find the lungs in the film that is the body, or in each film of a form.

    A film as the body is answered with its result, or with a problem. A form is answered with
    `{"results": [...]}`: one result for each film, in the order of the form, each with its
    `status`.
    """
    service.check_key(authorization, x_api_key)
    options = response_options(parameters, service.engine.card)
    service.queue.check_room()
    memory = service.upload_memory.for_request()
    try:
        return await service.run_until_stopped(_segment(request, service, memory, options))
    finally:
        memory.release()


async def _segment(
    request: Request, service: Service, memory: RequestMemory, options: ResponseOptions
) -> Response:
    uploads = await receive_uploads(request, service.limits, memory)
    is_for_many = options.format in ("json", "csv")
    if not is_for_many and len(uploads) > 1:
        raise UsageError("a file is of one film; send one at a time, or ask for format=json")
    outcomes = await service.segment(uploads, options, memory)
    if is_multipart(request) and is_for_many:
        return several_films_response(uploads, outcomes, options)
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        return error_response(request, outcome)
    return single_film_response(outcome, options)


@router.get("/v1/model", tags=["service"])
async def model(service: TheService) -> dict[str, Any]:
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
    """A drawn film, of no patient, to try the service with."""
    return Response(_example_png(), media_type="image/png")


@router.get("/healthz", tags=["service"])
async def alive() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "alive"}


@router.get("/readyz", tags=["service"], responses=READY)
async def ready(service: TheService) -> JSONResponse:
    """Whether a film would be accepted now; 503 while the queue is full or a worker is stuck."""
    status, queue = service.status(), service.queue
    content = {
        "status": status, "held": queue.held, "places": queue.capacity, "stuck": queue.stuck,
    }  # fmt: skip
    return JSONResponse(content, 200 if status == "ready" else 503)


@router.get("/metrics", tags=["service"], response_class=Response)
async def metrics(service: TheService) -> Response:
    """Counters in Prometheus's text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI description of all routes."""
    return JSONResponse(request.app.openapi())


@lru_cache(maxsize=1)
def _example_png() -> bytes:
    return film_png(draw(768, 672).radiograph)
