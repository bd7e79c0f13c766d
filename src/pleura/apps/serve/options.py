"""The options of `pleura serve`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.options import Panel, port_option

if TYPE_CHECKING:
    from pleura.apps.serve.limits.limits import Limits

__all__ = ["AccessOptions", "LimitOptions", "LogOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """The address of the service, and who may use it."""

    host: Annotated[str, Panel.ACCESS.option(help="The address to bind to.")] = "127.0.0.1"
    port: Annotated[int, port_option("The port; 0 takes a free one.", Panel.ACCESS)] = 8017
    api_key: Annotated[
        str | None,
        Panel.ACCESS.option(
            envvar="PLEURA_API_KEY",
            help="The key that clients must send. Set it in the environment: other users of the "
            "machine can see options.",
            show_default=False,
        ),
    ] = None
    no_key: Annotated[
        bool, Panel.ACCESS.option("--no-key", help="Let other machines connect without a key.")
    ] = False
    allow_host: Annotated[
        list[str] | None,
        Panel.ACCESS.option(
            metavar="NAME",
            help="Another host name of the service, such as that of a reverse proxy; repeatable. "
            "*.NAME allows its subdomains, * any name.",
        ),
    ] = None
    allow_origin: Annotated[
        list[str] | None,
        Panel.ACCESS.option(
            metavar="ORIGIN",
            help="A web site whose pages may use the service, such as https://viewer.example; "
            "repeatable (CORS).",
            show_default=False,
        ),
    ] = None
    root_path: Annotated[
        str,
        Panel.ACCESS.option(
            metavar="PATH",
            help="The path prefix at which a reverse proxy serves it, such as /pleura.",
            show_default=False,
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What the service writes to stderr."""

    log: Annotated[
        bool,
        typer.Option(
            "--log",
            help="Write one line of JSON to stderr for each request: time, request id, route, "
            "status and seconds, and nothing of the film.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOptions:
    """Sizes and times of requests."""

    megabytes: Annotated[int, Panel.LIMITS.option(min=1, help="The size of one request, MB.")] = 128
    megapixels: Annotated[
        int, Panel.LIMITS.option(min=1, max=60, help="The size of one film, megapixels.")
    ] = 40
    films: Annotated[int, Panel.LIMITS.option(min=1, help="Films in one request.")] = 16
    queue: Annotated[
        int, Panel.LIMITS.option(min=1, help="Films accepted and not yet answered.")
    ] = 64
    seconds: Annotated[
        float, Panel.LIMITS.option(min=0.1, help="Time for one request after its upload, seconds.")
    ] = 120
    grace: Annotated[
        float,
        Panel.LIMITS.option(min=0, help="Time to finish accepted films after Ctrl-C, seconds."),
    ] = 25

    def limits(self) -> Limits:
        """The same in bytes and pixels."""
        from pleura.apps.serve.limits.limits import Limits

        return Limits(
            request_bytes=self.megabytes * 1_000_000,
            film_pixels=self.megapixels * 1_000_000,
            request_films=self.films,
            queue_films=self.queue,
            answer_s=self.seconds,
            grace_s=self.grace,
        )
