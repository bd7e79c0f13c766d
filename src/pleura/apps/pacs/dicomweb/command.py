"""The command `pleura dicomweb`: segment films of a DICOMweb archive."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import PRINTED, SENT, FilmsAsJson, names_in
from pleura.apps.pacs.options import ResultOptions
from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.pacs.dicomweb.pull import Film, Pulled

__all__ = ["dicomweb"]

_WHICH: dict[str, Any] = {"rich_help_panel": "Which films"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOptions:
    """Which films of the service are segmented."""

    study: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="A StudyInstanceUID; repeatable.", **_WHICH),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="All studies since this day, as 2026-11-23.", **_WHICH),
    ] = None
    modality: Annotated[
        str, typer.Option(help="Modalities of the series to read, with commas.", **_WHICH)
    ] = "CR,DX"


@grouped
def dicomweb(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The service: https://pacs/dicom-web, for one.")
    ],
    *,
    which: FilmOptions,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Another service for the results.", show_default=False, **SENT
        ),
    ] = None,
    results: ResultOptions,
    ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="Who signed the service's certificate, PEM.")
    ] = None,
    as_json: FilmsAsJson = False,
    uids: Annotated[
        bool, typer.Option("--uids", help="Name films by their UIDs, not numbers.", **PRINTED)
    ] = False,
) -> None:
    """Pull films from a DICOMweb service, segment them, push the results back.

    pleura dicomweb http://localhost:8042/dicom-web --study 1.2.840.113619.2.1
    pleura dicomweb https://pacs/dicom-web --since 2026-11-23 --modality CR,DX

    Films whose results are in the archive are skipped, so that the same
    command may run every hour. The password comes from PLEURA_DICOMWEB_AUTH
    (USER:PASSWORD, or 'Bearer TOKEN') or from ~/.netrc. Not for diagnosis.
    """
    import functools

    from pleura.apps.pacs.client import web_client
    from pleura.apps.pacs.dicomweb.pull import Pull, find_films
    from pleura.apps.quiet import silence_libraries

    modalities, day = _modalities(which.modality), _day(which.since, which.study)
    results.names()  # raises for an unknown format before the service is asked
    source, target = (web_client(_service(address), ca) for address in (url, to or url))
    pull = Pull(source, target, results.maker())
    report = functools.partial(_print_outcome, as_json=as_json, uids=uids)
    failed = number = 0
    with silence_libraries():
        films = find_films(source, studies=which.study or (), since=day, modalities=modalities)
        for number, film in enumerate(films, 1):
            pulled = pull(film)
            failed += pulled.status == "failed"
            report(number, film, pulled)
    typer.echo(f"pleura: {number} films looked at, {failed} failed", err=True)
    raise typer.Exit(Exit.FILMS_FAILED if failed else Exit.DONE)


def _print_outcome(number: int, film: Film, pulled: Pulled, *, as_json: bool, uids: bool) -> None:
    if as_json:
        identity = {"film": number} | (film._asdict() if uids else {})
        typer.echo(json.dumps(identity | pulled._asdict()))
    else:
        name = film.uid if uids else number
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
        raise UsageError("--modality names nothing; expected CR, DX or the like, with commas")
    return names


def _day(since: str | None, study: list[str] | None) -> str | None:
    """`--since` as a DICOM date (YYYYMMDD), or None with `--study`.

    Raises:
        UsageError: both or none of the options are given, or one is invalid.
    """
    if bool(since) == bool(study):
        raise UsageError("say which films: either --study UID or --since DATE")
    for uid in study or ():
        if not re.fullmatch(r"[\d.]{1,64}", uid):
            raise UsageError(f"'{uid}' is no UID; expected digits and dots, 64 at most")
    if since is None:
        return None
    try:
        return f"{date.fromisoformat(since):%Y%m%d}"
    except ValueError as error:
        raise UsageError(f"'{since}' is no date; expected one like 2026-11-23") from error
