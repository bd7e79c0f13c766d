"""Pulling: films of a DICOMweb service, segmented, their results pushed back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pleura.apps.pacs.client import Refused, answered
from pleura.apps.pacs.destinations import Stow
from pleura.apps.pacs.results import Maker, in_short
from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.dicom.received import read_json
from pleura.io.dicom.results import dicom_bytes

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Film", "Pull", "Pulled", "find_films"]

PAGE = 100
"""Studies asked for at a time."""

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_ANY_SYNTAX = (("application/dicom", "*"),)


class Film(NamedTuple):
    """Where a film lies in a service."""

    study: str
    series: str
    uid: str


class Pulled(NamedTuple):
    """What became of a film."""

    status: str
    """`done`, `there` (its results were there already), `no film`, or `failed`."""

    reason: str | None = None
    verdict: str | None = None
    """On the results, with the doubts' codes; of a film that is done."""


@dataclass(frozen=True, slots=True)
class Pull:
    """From one service, through the network, to another or the same."""

    source: DICOMwebClient
    """Where films come from."""

    target: DICOMwebClient
    """Where results go; may be the source."""

    maker: Maker

    def __call__(self, film: Film) -> Pulled:
        """Segment a film and store its results, unless they are there.

        Raises:
            Unreachable: a service is not there; every further film would fail.
        """
        try:
            if self._is_there(film):
                return Pulled("there")
            results, quality = self.maker.objects(self._content(film), received=True)
            Stow(self.target).send_objects(list(results.values()))
        except UnsuitableFilm as error:
            return Pulled("no film", str(error))
        except (FilmError, Refused) as error:
            return Pulled("failed", str(error))
        return Pulled("done", verdict=in_short(quality))

    def _is_there(self, film: Film) -> bool:
        with answered():
            told = self.source.retrieve_instance_metadata(*film)
            found = self.target.search_for_instances(film.study)
        stored = {_value(each, _INSTANCE) for each in found}
        return any(stored >= wanted for wanted in self.maker.sets_of_uids(read_json(told)))

    def _content(self, film: Film) -> bytes:
        with answered():
            return dicom_bytes(self.source.retrieve_instance(*film, media_types=_ANY_SYNTAX))


def find_films(
    client: DICOMwebClient,
    *,
    studies: Sequence[str],
    since: str | None,
    modalities: Sequence[str],
) -> Iterator[Film]:
    """Films of these modalities: of the studies, or of all studies since a date (YYYYMMDD).

    Raises:
        Unreachable, Refused: the service does not answer, or not the question.
    """
    for study in studies or _studies(client, since, modalities):
        with answered():
            found = client.search_for_series(study)
        for each in found:
            if _value(each, "00080060") not in modalities:
                continue
            series = _value(each, _SERIES)
            with answered():
                instances = client.search_for_instances(study, series)
            yield from (Film(study, series, _value(one, _INSTANCE)) for one in instances)


def _studies(client: DICOMwebClient, since: str | None, modalities: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for modality in modalities:
        wanted = {"StudyDate": f"{since}-", "ModalitiesInStudy": modality}
        for offset in range(0, 10**9, PAGE):
            with answered():
                page = client.search_for_studies(limit=PAGE, offset=offset, search_filters=wanted)
            found = {_value(each, _STUDY) for each in page}
            yield from sorted(found - seen)
            if not found - seen:  # the end; or a service that knows no offset
                break
            seen |= found


def _value(told: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON; empty if missing."""
    values = told.get(tag, {}).get("Value") or [""]
    return str(values[0])
