"""The command `pleura dicomweb`: segment films of a DICOMweb archive."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import FilmsAsJson, Panel, names_in
from pleura.apps.pacs.options import ResultOptions
from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.pacs.dicomweb.pull import Pull, Pulled
    from pleura.apps.pacs.dicomweb.search import Film, Query

__all__ = ["dicomweb"]

MAX_FILMS = 200
"""The most films of a study by default; a study of chest films has fewer than ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOptions:
    """Which films of the service are segmented."""

    study: Annotated[
        list[str] | None, Panel.FILMS.option(metavar="UID", help="A StudyInstanceUID; repeatable.")
    ] = None
    since: Annotated[
        str | None,
        Panel.FILMS.option(metavar="DATE", help="All studies since this day, as 2026-11-23."),
    ] = None
    until: Annotated[
        str | None,
        Panel.FILMS.option(metavar="DATE", help="With --since: no study after this day."),
    ] = None
    modality: Annotated[
        str, Panel.FILMS.option(help="Modalities of the series to read, with commas.")
    ] = "CR,DX"
    study_films: Annotated[
        int,
        Panel.FILMS.option(min=1, metavar="FILMS", help="Pull no study with more films than this."),
    ] = MAX_FILMS
    dry_run: Annotated[
        bool, Panel.FILMS.option("--dry-run", help="Show which films have no results; fetch none.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """How the services are asked."""

    to: Annotated[
        str | None,
        Panel.SENT.option(
            metavar="URL", help="Another service for the results.", show_default=False
        ),
    ] = None
    ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="Who signed the service's certificate, PEM.")
    ] = None
    retry: Annotated[
        int,
        Panel.REQUESTS.option(
            min=0,
            max=20,
            help="Repeat a request that often if the service is away or busy: at once, then after "
            "2, 4, 8 ... seconds.",
        ),
    ] = 3
    per_minute: Annotated[
        float | None,
        Panel.REQUESTS.option(
            min=0.01, metavar="FILMS", help="Fetch that many films a minute at most."
        ),
    ] = None


@grouped
def dicomweb(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The service: https://pacs/dicom-web, for one.")
    ],
    *,
    which: FilmOptions,
    service: ServiceOptions,
    results: ResultOptions,
    as_json: FilmsAsJson = False,
    uids: Annotated[
        bool, Panel.PRINTED.option("--uids", help="Name films by their UIDs, not numbers.")
    ] = False,
) -> None:
    """Pull films from a DICOMweb service, segment them, push the results back.

    pleura dicomweb http://localhost:8042/dicom-web --study 1.2.840.113619.2.1
    pleura dicomweb https://pacs/dicom-web --since 2026-11-23 --modality CR,DX
    pleura dicomweb https://pacs/dicom-web --since 2026-01-01 --until 2026-01-31 --dry-run

    Films whose results are in the archive are skipped, so that the same
    command may run every hour. The password comes from PLEURA_DICOMWEB_AUTH
    (USER:PASSWORD, or 'Bearer TOKEN') or from ~/.netrc. Not for diagnosis.
    """
    from pleura.apps.pacs.dicomweb.pull import pull_films
    from pleura.apps.quiet import silence_libraries

    query = _query(which)
    results.names()  # raises for an unknown format before the service is asked
    pull = _pull(url, service, results, dry_run=which.dry_run)
    counts: Counter[str] = Counter()
    with silence_libraries():
        for number, (film, pulled) in enumerate(pull_films(pull, query), 1):
            counts[pulled.status] += 1
            _print_outcome(number, film, pulled, as_json=as_json, uids=uids)
    typer.echo(_summary(counts), err=True)
    raise typer.Exit(Exit.FILMS_FAILED if counts["failed"] else Exit.DONE)


def _pull(url: str, service: ServiceOptions, results: ResultOptions, *, dry_run: bool) -> Pull:
    from pleura.apps.pacs.client import web_client
    from pleura.apps.pacs.dicomweb.pull import Pull

    source, target = (
        web_client(_service(address), service.ca, retries=service.retry)
        for address in (url, service.to or url)
    )
    pause_s = 60 / service.per_minute if service.per_minute else 0.0
    return Pull(source, target, results.maker(), dry_run=dry_run, pause_s=pause_s)


def _summary(counts: Counter[str]) -> str:
    """The number of films, and of each outcome that occurred, such as `3 done, 1 failed`."""
    order = ("done", "to do", "there", "no film", "failed")
    parts = [f"{counts[status]} {status}" for status in order if counts[status]]
    return f"pleura: {counts.total()} films looked at: {', '.join(parts) or 'none'}"


def _print_outcome(number: int, film: Film, pulled: Pulled, *, as_json: bool, uids: bool) -> None:
    if as_json:
        identity = {"film": number} | (film._asdict() if uids else {})
        typer.echo(json.dumps(identity | pulled._asdict()))
    else:
        name = (film.uid or film.study) if uids else number
        detail = pulled.reason or pulled.verdict
        typer.echo(f"film {name}: {pulled.status}{f': {detail}' if detail else ''}")


def _service(url: str) -> str:
    from pleura.apps.pacs.addresses import read_address

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"'{url}' is no DICOMweb service; expected https://HOST/dicom-web")
    return read_address(url).url


def _modalities(option: str) -> tuple[str, ...]:
    names = tuple(name.upper() for name in names_in([option]))
    if not names:
        raise UsageError("--modality is empty; expected CR, DX or the like, with commas")
    return names


def _query(which: FilmOptions) -> Query:
    """The query that the options describe.

    Raises:
        UsageError: both or none of `--study` and `--since` are given, or one is invalid.
    """
    from pleura.apps.pacs.dicomweb.search import Query

    if bool(which.since) == bool(which.study):
        raise UsageError("name the films by one of two options: --study UID or --since DATE")
    if which.until and not which.since:
        raise UsageError("--until needs --since, the first day")
    for uid in which.study or ():
        if not re.fullmatch(r"[\d.]{1,64}", uid):
            raise UsageError(f"'{uid}' is no UID; expected digits and dots, 64 at most")
    first, last = _day(which.since), _day(which.until)
    if first and last and last < first:
        raise UsageError(f"--until {which.until} lies before --since {which.since}")
    dates = f"{first}-{last}" if first else ""
    return Query(
        _modalities(which.modality), which.study or (), dates, most_films=which.study_films
    )


def _day(option: str | None) -> str:
    """A day as DICOM writes it (YYYYMMDD); empty without the option."""
    try:
        return f"{date.fromisoformat(option):%Y%m%d}" if option else ""
    except ValueError as error:
        raise UsageError(f"'{option}' is no date; expected one like 2026-11-23") from error
