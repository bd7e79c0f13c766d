"""Pulling films from a DICOMweb service, segmenting them, and pushing the results back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pleura.apps.pacs.client import Refused, web_errors
from pleura.apps.pacs.destinations import Stow
from pleura.apps.pacs.results import ResultMaker, verdict_text
from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.dicom.received import dataset_from_json
from pleura.io.dicom.results import dicom_bytes

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Film", "Pull", "Pulled", "Query", "pull_films"]

PAGE = 100
"""The studies of one query."""

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_MODALITIES = "00080061"
_ANY_SYNTAX = (("application/dicom", "*"),)


class Film(NamedTuple):
    """The UIDs of a film in a service."""

    study: str
    series: str
    uid: str


class Pulled(NamedTuple):
    """The outcome of one film."""

    status: str
    """`done`, `there` (the service has its results), `to do` (with `dry_run`), `no film`, or
    `failed`."""

    reason: str | None = None
    verdict: str | None = None
    """The verdict with the codes of its doubts, for a film that is done."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Segments films of one service, and stores the results in another or the same."""

    source: DICOMwebClient
    """Where films come from."""

    target: DICOMwebClient
    """Where results go; may be the source."""

    maker: ResultMaker

    dry_run: bool = False
    """Ask which films have no results, and segment none."""

    pause_s: float = 0.0
    """The shortest time from fetching one film to fetching the next, seconds."""

    _fetched: list[float] = field(default_factory=list)
    """The monotonic time at which a film was fetched last, seconds; empty before the first."""

    def __call__(self, film: Film) -> Pulled:
        """Segment a film and store its results, unless the target has them.

        Raises:
            Unreachable: a service does not answer; every further film would fail.
        """
        try:
            if self._has_results(film):
                return Pulled("there")
            if self.dry_run:
                return Pulled("to do")
            self._wait()
            results, quality = self.maker.objects(self._content(film), received=True)
            receipt = Stow(self.target).send(list(results.values()))
        except UnsuitableFilm as error:
            return Pulled("no film", str(error))
        except (FilmError, Refused) as error:
            return Pulled("failed", str(error))
        if receipt.refused:
            return Pulled("failed", receipt.reason())
        return Pulled("done", verdict=verdict_text(quality))

    def _wait(self) -> None:
        """Wait until `pause_s` have passed since the last film was fetched."""
        if self._fetched:
            time.sleep(max(0.0, self._fetched.pop() + self.pause_s - time.monotonic()))
        self._fetched.append(time.monotonic())

    def _has_results(self, film: Film) -> bool:
        with web_errors():
            metadata = self.source.retrieve_instance_metadata(*film)
            instances = self.target.search_for_instances(film.study)
        stored = {_value(instance, _INSTANCE) for instance in instances}
        return any(
            stored >= uids for uids in self.maker.result_uid_sets(dataset_from_json(metadata))
        )

    def _content(self, film: Film) -> bytes:
        with web_errors():
            return dicom_bytes(self.source.retrieve_instance(*film, media_types=_ANY_SYNTAX))


@dataclass(frozen=True, slots=True)
class Query:
    """Which films of a service are wanted."""

    modalities: Sequence[str]
    """Modalities of series, such as CR and DX."""

    studies: Sequence[str] = ()
    """StudyInstanceUIDs; empty for all studies of `dates`."""

    dates: str = ""
    """A range of StudyDate, such as `20261101-` or `20261101-20261130`."""


def pull_films(pull: Pull, query: Query) -> Iterator[tuple[Film, Pulled]]:
    """Pull the films of `query`; a study that cannot be listed is a failed film without its UID.

    Raises:
        Unreachable, Refused: the service does not answer, or rejects the query for studies.
    """
    for film, problem in _find_films(pull.source, query):
        yield film, pull(film) if problem is None else Pulled("failed", problem)


def _find_films(client: DICOMwebClient, query: Query) -> Iterator[tuple[Film, str | None]]:
    """Find films, each with None, or a study that cannot be listed, with the reason."""
    for study in query.studies or _studies(client, query):
        try:
            films = _films_of_study(client, study, query.modalities)
        except Refused as error:
            yield Film(study, "", ""), f"its study cannot be listed: {error}"
        else:
            yield from ((film, None) for film in films)


def _films_of_study(client: DICOMwebClient, study: str, modalities: Sequence[str]) -> list[Film]:
    with web_errors():
        all_series = client.search_for_series(study)
        uids = [
            _value(series, _SERIES)
            for series in all_series
            if _value(series, "00080060") in modalities
        ]
        return [
            Film(study, uid, _value(instance, _INSTANCE))
            for uid in uids
            for instance in client.search_for_instances(study, uid)
        ]


def _studies(client: DICOMwebClient, query: Query) -> Iterator[str]:
    """The studies of the dates that hold, or may hold, one of the modalities.

    Pages are asked for without ModalitiesInStudy: archives that filter by it after they cut the
    page answer short or empty pages before the last one. Pages go on until one adds no study, so
    that an archive with smaller pages of its own is read completely too.

    Raises:
        Refused: the service ignores the number of the first study of a page.
    """
    seen: set[str] = set()
    filters = {"StudyDate": query.dates}
    offset = 0
    while True:
        with web_errors():
            page = client.search_for_studies(
                fields=[_MODALITIES], limit=PAGE, offset=offset, search_filters=filters
            )
        new = {_value(study, _STUDY): study for study in page}
        fresh = [uid for uid in new if uid not in seen]
        if len(page) >= PAGE and not fresh:
            raise Refused(
                "the service answers every page with the same studies, so that some would be "
                "missed; ask for fewer days, or for single studies with --study"
            )
        if not fresh:
            return
        seen.update(fresh)
        yield from (uid for uid in sorted(fresh) if _may_hold(new[uid], query.modalities))
        offset += len(page)


def _may_hold(study: dict[str, Any], modalities: Sequence[str]) -> bool:
    """Whether a study lists one of the modalities, or none at all."""
    listed = study.get(_MODALITIES, {}).get("Value") or []
    return not listed or any(str(modality) in modalities for modality in listed)


def _value(dataset: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON; empty if missing."""
    values = dataset.get(tag, {}).get("Value") or [""]
    return str(values[0])
