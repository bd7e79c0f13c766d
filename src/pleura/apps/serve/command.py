"""`pleura serve`: the page and the service."""

from __future__ import annotations

import ipaddress
import signal
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pleura.apps.options import COMPUTED, Device, Engine, Fast, Precision, Threads, Weights
from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.serve.service import Service

__all__ = ["serve"]

MOST_CONNECTIONS = 500
"""Open at a time; one more is answered 503. Below the files a process may commonly have open."""

_BOUNDS: dict[str, Any] = {"rich_help_panel": "Limits"}
_WHO: dict[str, Any] = {"rich_help_panel": "Who may come in"}


def serve(
    host: Annotated[str, typer.Option(help="The address to bind to.", **_WHO)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.", **_WHO)] = 8017,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="PLEURA_API_KEY",
            help="Clients must show it. Give it in the environment: options are seen by all.",
            show_default=False,
            **_WHO,
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Bind wider than this machine without a key.", **_WHO)
    ] = False,
    weights: Weights = None,
    threads: Threads = None,
    engine: Engine = "auto",
    device: Device = "cpu",
    precision: Precision = "auto",
    fast: Fast = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Films worked on at a time; those that wait share one call of the network.",
            **COMPUTED,
        ),
    ] = 4,
    megabytes: Annotated[int, typer.Option(min=1, help="Of one request.", **_BOUNDS)] = 128,
    megapixels: Annotated[
        int, typer.Option(min=1, max=144, help="Of one film, decoded.", **_BOUNDS)
    ] = 40,
    films: Annotated[int, typer.Option(min=1, help="In one request.", **_BOUNDS)] = 16,
    queue: Annotated[
        int, typer.Option(min=1, help="Films accepted and not yet answered.", **_BOUNDS)
    ] = 64,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="For one request, once it is uploaded.", **_BOUNDS)
    ] = 120,
) -> None:
    """Serve the page and the HTTP interface on this machine, until Ctrl-C.

    pleura serve
    pleura serve --port 8020 --weights weights/first.onnx

    Nothing is stored, and no film is sent elsewhere. Not for diagnosis.
    """
    from pleura.apps.engines import Choice, open_engine
    from pleura.apps.serve.limits import Limits
    from pleura.apps.serve.service import Service

    check_who(host, api_key, no_key=no_key)
    choice = Choice(engine=engine, device=device, precision=precision, fast=fast, threads=threads)
    limits = Limits(
        request_bytes=megabytes * 1_000_000,
        film_pixels=megapixels * 1_000_000,
        request_films=films,
        queue_films=queue,
        answer_s=seconds,
    )
    bound = bind(host, port)
    with bound:
        opened = open_engine(weights, choice)
        service = Service(opened, limits, key=api_key or None, workers=jobs)
        where, at = bound.getsockname()[:2]
        typer.echo(f"pleura serves http://{_in_url(where)}:{at} ; Ctrl-C ends it", err=True)
        run(service, bound)
    typer.echo("pleura: ended; every film that was accepted has its answer", err=True)


def check_who(host: str, api_key: str | None, *, no_key: bool) -> None:
    """Raise `UsageError` for a service that everybody could use by accident."""
    if api_key or no_key or _is_here(host):
        return
    raise UsageError(
        f"{host} can be reached from other machines: set PLEURA_API_KEY to a secret that clients "
        "must show, or give --no-key to let everybody in"
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; `UsageError` where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot bind to {host} port {port}: {reason}; give another --port, or 0 for any"
        ) from error


def run(service: Service, bound: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was accepted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # uvicorn raises them again after a clean end
    server_of(service).run(sockets=[bound])


def server_of(service: Service) -> Any:
    """The uvicorn server that `run` runs."""
    import uvicorn

    from pleura.apps.serve.application import application
    from pleura.apps.serve.connections import prompt_protocol

    return uvicorn.Server(
        uvicorn.Config(
            application(service),
            ws="none",
            http=prompt_protocol(service.limits.headers_s),
            limit_concurrency=MOST_CONNECTIONS,
            log_level="warning",
            access_log=False,  # nothing of a request is logged
            server_header=False,
            timeout_graceful_shutdown=int(service.limits.answer_s) + 5,
        )
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
