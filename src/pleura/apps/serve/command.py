"""The command `pleura serve`: the web page and the HTTP interface."""

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

_LIMITS: dict[str, Any] = {"rich_help_panel": "Limits"}
_ACCESS: dict[str, Any] = {"rich_help_panel": "Access"}


def serve(
    host: Annotated[str, typer.Option(help="The address to bind to.", **_ACCESS)] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.", **_ACCESS)
    ] = 8017,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="PLEURA_API_KEY",
            help="The key that clients must send. Set it in the environment: other users of the "
            "machine can see options.",
            show_default=False,
            **_ACCESS,
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Let other machines connect without a key.", **_ACCESS)
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another host name of the service, such as that of a reverse proxy; repeatable. "
            "*.NAME allows its subdomains, * any name.",
            **_ACCESS,
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
            help="Films segmented at a time; those that wait share one call of the network.",
            **COMPUTED,
        ),
    ] = 4,
    megabytes: Annotated[
        int, typer.Option(min=1, help="The size of one request, MB.", **_LIMITS)
    ] = 128,
    megapixels: Annotated[
        int, typer.Option(min=1, max=60, help="The size of one film, megapixels.", **_LIMITS)
    ] = 40,
    films: Annotated[int, typer.Option(min=1, help="Films in one request.", **_LIMITS)] = 16,
    queue: Annotated[
        int, typer.Option(min=1, help="Films accepted and not yet answered.", **_LIMITS)
    ] = 64,
    seconds: Annotated[
        float,
        typer.Option(min=0.1, help="Time for one request after its upload, seconds.", **_LIMITS),
    ] = 120,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Time to finish accepted films after Ctrl-C, seconds.", **_LIMITS),
    ] = 25,
) -> None:
    """Serve the page and the HTTP interface until Ctrl-C.

    pleura serve
    pleura serve --port 8020 --weights weights/first.onnx

    Nothing is stored, and no film is sent to another machine. Not for diagnosis.
    """
    from pleura.apps.cli.engines import Choice, open_engine
    from pleura.apps.cli.exit_codes import Exit
    from pleura.apps.quiet import discard_native_output, silence_libraries
    from pleura.apps.serve.limits.limits import Limits
    from pleura.apps.serve.security.hosts import AllowedHosts, host_names
    from pleura.apps.serve.server import bind, run
    from pleura.apps.serve.service import Service

    check_access(host, api_key, no_key=no_key)
    hosts = AllowedHosts(host, host_names(allow_host))
    choice = Choice(engine=engine, device=device, precision=precision, fast=fast, threads=threads)
    limits = Limits(
        request_bytes=megabytes * 1_000_000,
        film_pixels=megapixels * 1_000_000,
        request_films=films,
        queue_films=queue,
        answer_s=seconds,
        grace_s=grace,
    )
    listener = bind(host, port)
    with listener:
        opened = open_engine(weights, choice)
        service = Service(opened, limits, key=api_key or None, hosts=hosts, workers=jobs)
        bound_host, bound_port = listener.getsockname()[:2]
        url = f"http://{_bracket_ipv6(bound_host)}:{bound_port}"
        typer.echo(f"pleura serves {url} ; Ctrl-C ends it", err=True)
        with silence_libraries(), discard_native_output():
            all_ended = run(service, listener)
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
    os._exit(Exit.UNEXPECTED)  # a thread that hangs in a decoder ends only with the process


def check_access(host: str, api_key: str | None, *, no_key: bool) -> None:
    """Check that no other machine can connect without a key, unless `no_key` allows it.

    Raises:
        UsageError: `host` can be reached from other machines.
    """
    if api_key or no_key or _is_loopback(host):
        return
    raise UsageError(
        f"{host} can be reached from other machines: set PLEURA_API_KEY to a secret that clients "
        "must show, or give --no-key to let everybody in"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracket_ipv6(host: str) -> str:
    return f"[{host}]" if ":" in host else host
