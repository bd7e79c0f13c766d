"""The options of `pleura serve`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pleura.apps.cli.options import port_option

if TYPE_CHECKING:
    from pleura.apps.serve.limits.limits import Limits

__all__ = ["AccessOptions", "LimitOptions", "LogOptions"]

_LIMITS: dict[str, Any] = {"rich_help_panel": "Limits"}
_ACCESS: dict[str, Any] = {"rich_help_panel": "Access"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """The address of the service, and who may use it."""

    host: Annotated[str, typer.Option(help="The address to bind to.", **_ACCESS)] = "127.0.0.1"
    port: Annotated[int, port_option("The port; 0 takes a free one.", _ACCESS)] = 8017
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="PLEURA_API_KEY",
            help="The key that clients must send. Set it in the environment: other users of the "
            "machine can see options.",
            show_default=False,
            **_ACCESS,
        ),
    ] = None
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Let other machines connect without a key.", **_ACCESS)
    ] = False
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another host name of the service, such as that of a reverse proxy; repeatable. "
            "*.NAME allows its subdomains, * any name.",
            **_ACCESS,
        ),
    ] = None
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A web site whose pages may use the service, such as https://viewer.example; "
            "repeatable (CORS).",
            show_default=False,
            **_ACCESS,
        ),
    ] = None
    root_path: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The path prefix at which a reverse proxy serves it, such as /pleura.",
            show_default=False,
            **_ACCESS,
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

    megabytes: Annotated[
        int, typer.Option(min=1, help="The size of one request, MB.", **_LIMITS)
    ] = 128
    megapixels: Annotated[
        int, typer.Option(min=1, max=60, help="The size of one film, megapixels.", **_LIMITS)
    ] = 40
    films: Annotated[int, typer.Option(min=1, help="Films in one request.", **_LIMITS)] = 16
    queue: Annotated[
        int, typer.Option(min=1, help="Films accepted and not yet answered.", **_LIMITS)
    ] = 64
    seconds: Annotated[
        float,
        typer.Option(min=0.1, help="Time for one request after its upload, seconds.", **_LIMITS),
    ] = 120
    grace: Annotated[
        float,
        typer.Option(min=0, help="Time to finish accepted films after Ctrl-C, seconds.", **_LIMITS),
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
