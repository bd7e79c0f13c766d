"""Pulling films from a DICOMweb service, segmenting them, and pushing the results back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pleura.apps.pacs.client import Refused, web_errors
from pleura.apps.pacs.destinations import Stow
from pleura.apps.pacs.results import ResultMaker, verdict_text
from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.dicom.received import dataset_from_json
from pleura.io.dicom.results import dicom_bytes

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Film", "Pull", "Pulled", "find_films"]

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
    """`done`, `there` (the service has its results), `no film`, or `failed`."""

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

    def __call__(self, film: Film) -> Pulled:
        """Segment a film and store its results, unless the target has them.

        Raises:
            Unreachable: a service does not answer; every further film would fail.
        """
        try:
            if self._has_results(film):
                return Pulled("there")
            results, quality = self.maker.objects(self._content(film), received=True)
            receipt = Stow(self.target).send(list(results.values()))
        except UnsuitableFilm as error:
            return Pulled("no film", str(error))
        except (FilmError, Refused) as error:
            return Pulled("failed", str(error))
        if receipt.refused:
            return Pulled("failed", receipt.reason())
        return Pulled("done", verdict=verdict_text(quality))

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


def find_films(
    client: DICOMwebClient,
    *,
    studies: Sequence[str],
    since: str | None,
    modalities: Sequence[str],
) -> Iterator[Film]:
    """Find films of these modalities in studies, or in all studies since a date (YYYYMMDD).

    Raises:
        Unreachable, Refused: the service does not answer, or rejects the query.
    """
    for study in studies or _studies(client, since, modalities):
        with web_errors():
            all_series = client.search_for_series(study)
        for series in all_series:
            if _value(series, "00080060") not in modalities:
                continue
            uid = _value(series, _SERIES)
            with web_errors():
                instances = client.search_for_instances(study, uid)
            yield from (Film(study, uid, _value(instance, _INSTANCE)) for instance in instances)


def _studies(client: DICOMwebClient, since: str | None, modalities: Sequence[str]) -> Iterator[str]:
    """The studies since a date that hold, or may hold, one of these modalities.

    Pages are asked for without ModalitiesInStudy: archives that filter by it after they cut the
    page answer short or empty pages before the last one. Pages go on until one adds no study, so
    that an archive with smaller pages of its own is read completely too.

    Raises:
        Refused: the service ignores the number of the first study of a page.
    """
    seen: set[str] = set()
    filters = {"StudyDate": f"{since}-"}
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
        yield from (uid for uid in sorted(fresh) if _may_hold(new[uid], modalities))
        offset += len(page)


def _may_hold(study: dict[str, Any], modalities: Sequence[str]) -> bool:
    """Whether a study lists one of the modalities, or none at all."""
    listed = study.get(_MODALITIES, {}).get("Value") or []
    return not listed or any(str(modality) in modalities for modality in listed)


def _value(dataset: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON; empty if missing."""
    values = dataset.get(tag, {}).get("Value") or [""]
    return str(values[0])
