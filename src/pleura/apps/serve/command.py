"""The command `pleura serve`: the web page and the HTTP interface."""

from __future__ import annotations

import ipaddress
import os
import sys
from contextlib import nullcontext
from typing import Annotated, NoReturn

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import EngineOptions, Panel, Threads
from pleura.apps.serve.options import AccessOptions, LimitOptions, LogOptions
from pleura.core.errors import UsageError
from pleura.io.decoder_process import stop_decoders

__all__ = ["serve"]


@grouped
def serve(
    access: AccessOptions,
    *,
    network: EngineOptions,
    threads: Threads = None,
    jobs: Annotated[
        int,
        Panel.COMPUTED.option(
            min=1, help="Films segmented at a time; those that wait share one call of the network."
        ),
    ] = 4,
    limits: LimitOptions,
    logs: LogOptions,
) -> None:
    """Serve the page and the HTTP interface until Ctrl-C.

    pleura serve
    pleura serve --port 8020 --weights weights/first.onnx

    Nothing is stored, and no film is sent to another machine. Not for diagnosis.
    """
    from pleura.apps.cli.engines import open_engine
    from pleura.apps.quiet import discard_native_output, silence_libraries
    from pleura.apps.serve.request_log import logging_requests
    from pleura.apps.serve.security.hosts import AllowedHosts, host_names
    from pleura.apps.serve.server import bind, noting_signals, run
    from pleura.apps.serve.service import Service

    check_access(access.host, access.api_key, no_key=access.no_key)
    origins = host_names(access.allow_origin)
    hosts = AllowedHosts(access.host, host_names(access.allow_host), origins)
    listener = bind(access.host, access.port)
    with listener:
        opened = open_engine(*(network.weights or ()), choice=network.choice(threads=threads))
        service = Service(
            opened,
            limits.limits(),
            key=access.api_key or None,
            hosts=hosts,
            root_path=check_root_path(access.root_path),
            workers=jobs,
        )
        bound_host, bound_port = listener.getsockname()[:2]
        url = f"http://{_bracket_ipv6(bound_host)}:{bound_port}"
        log = logging_requests() if logs.log else nullcontext()
        with noting_signals() as is_stopped:
            typer.echo(f"pleura serves {url} ; Ctrl-C ends it", err=True)
            with silence_libraries(), discard_native_output(), log:
                all_ended = run(service, listener, is_stopped=is_stopped)
    if all_ended:
        typer.echo("pleura: ended; every film that was accepted has its answer", err=True)
        return
    _end_with_unfinished_films(limits.grace)


def _end_with_unfinished_films(grace_s: float) -> NoReturn:
    """End the process: a thread that hangs in a decoder ends only with it."""
    from pleura.apps.cli.exit_codes import Exit

    typer.echo(
        f"pleura: ended, though a film was still worked on after {grace_s:g} s; its client "
        "was told to send it again",
        err=True,
    )
    sys.stderr.flush()
    stop_decoders()
    os._exit(Exit.UNEXPECTED)


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


def check_root_path(path: str) -> str:
    """The path prefix without a slash at its end.

    Raises:
        UsageError: it does not begin with a slash.
    """
    prefix = path.rstrip("/")
    if prefix and not prefix.startswith("/"):
        raise UsageError(f"--root-path must begin with /, got {path!r}; write /{prefix}")
    return prefix


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracket_ipv6(host: str) -> str:
    return f"[{host}]" if ":" in host else host
