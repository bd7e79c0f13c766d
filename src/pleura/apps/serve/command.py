"""`pleura serve`: the page and the service."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Annotated, Any

import typer

from pleura.apps.cli.options import COMPUTED, Device, Engine, Fast, Precision, Threads, Weights
from pleura.core.errors import UsageError
from pleura.io.decoder_process import stop_decoders

__all__ = ["serve"]

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
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name that the service is reached by besides its own, as behind a reverse "
            "proxy; repeatable. *.NAME for all below it, * for any.",
            **_WHO,
        ),
    ] = None,
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
        int, typer.Option(min=1, max=60, help="Of one film, decoded.", **_BOUNDS)
    ] = 40,
    films: Annotated[int, typer.Option(min=1, help="In one request.", **_BOUNDS)] = 16,
    queue: Annotated[
        int, typer.Option(min=1, help="Films accepted and not yet answered.", **_BOUNDS)
    ] = 64,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="For one request, once it is uploaded.", **_BOUNDS)
    ] = 120,
    grace: Annotated[
        float,
        typer.Option(min=0, help="To finish accepted films in after Ctrl-C, seconds.", **_BOUNDS),
    ] = 25,
) -> None:
    """Serve the page and the HTTP interface on this machine, until Ctrl-C.

    pleura serve
    pleura serve --port 8020 --weights weights/first.onnx

    Nothing is stored, and no film is sent elsewhere. Not for diagnosis.
    """
    from pleura.apps.cli.engines import Choice, open_engine
    from pleura.apps.cli.exit_codes import Exit
    from pleura.apps.quiet import native_text_hidden, only_us
    from pleura.apps.serve.hosts import Hosts, names
    from pleura.apps.serve.limits import Limits
    from pleura.apps.serve.server import bind, run
    from pleura.apps.serve.service import Service

    check_who(host, api_key, no_key=no_key)
    hosts = Hosts(host, names(allow_host))
    choice = Choice(engine=engine, device=device, precision=precision, fast=fast, threads=threads)
    limits = Limits(
        request_bytes=megabytes * 1_000_000,
        film_pixels=megapixels * 1_000_000,
        request_films=films,
        queue_films=queue,
        answer_s=seconds,
        grace_s=grace,
    )
    bound = bind(host, port)
    with bound:
        opened = open_engine(weights, choice)
        service = Service(opened, limits, key=api_key or None, hosts=hosts, workers=jobs)
        where, at = bound.getsockname()[:2]
        typer.echo(f"pleura serves http://{_in_url(where)}:{at} ; Ctrl-C ends it", err=True)
        with only_us(), native_text_hidden():
            all_ended = run(service, bound)
    if all_ended:
        typer.echo("pleura: ended; every film that was accepted has its answer", err=True)
        return
    typer.echo(
        f"pleura: ended, though a film was still worked on after {grace:g} s; its client was told "
        "to send it again",
        err=True,
    )
    sys.stderr.flush()
    stop_decoders()
    os._exit(Exit.UNEXPECTED)  # a thread that hangs in a decoder ends with the process alone


def check_who(host: str, api_key: str | None, *, no_key: bool) -> None:
    """Raise `UsageError` for a service that everybody could use by accident."""
    if api_key or no_key or _is_here(host):
        return
    raise UsageError(
        f"{host} can be reached from other machines: set PLEURA_API_KEY to a secret that clients "
        "must show, or give --no-key to let everybody in"
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
