"""Finding films in a DICOMweb service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pleura.apps.pacs.client import Refused, web_errors
from pleura.core.errors import PleuraError, UnsuitableFilm

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["INSTANCE", "PAGE", "SERIES", "Film", "Query", "find_films", "first_value"]

PAGE = 100
"""The studies of one query."""

SERIES, INSTANCE = "0020000E", "00080018"
"""The tags of SeriesInstanceUID and SOPInstanceUID in DICOM JSON."""

_STUDY = "0020000D"
_MODALITIES = "00080061"


class Film(NamedTuple):
    """The UIDs of a film in a service."""

    study: str
    series: str
    uid: str


@dataclass(frozen=True, slots=True)
class Query:
    """Which films of a service are wanted."""

    modalities: Sequence[str]
    """Modalities of series, such as CR and DX."""

    studies: Sequence[str] = ()
    """StudyInstanceUIDs; empty for all studies of `dates`."""

    dates: str = ""
    """A range of StudyDate, such as `20261101-` or `20261101-20261130`."""

    most_films: int = field(kw_only=True)
    """A study with more films is not segmented."""


def find_films(client: DICOMwebClient, query: Query) -> Iterator[tuple[Film, PleuraError | None]]:
    """Find films, each with None, or a study that cannot be pulled, with the reason.

    The reason is an `UnsuitableFilm` for a study of `query.studies` that has no film.
    """
    for study in query.studies or _studies(client, query):
        try:
            films = _films_of_study(client, study, query.modalities)
        except Refused as error:
            yield Film(study, "", ""), Refused(f"its study cannot be listed: {error}")
            continue
        if len(films) > query.most_films:
            too_many = (
                f"its study has {len(films)} films of these modalities, more than the limit of "
                f"{query.most_films}: none was fetched; see --study-films"
            )
            yield Film(study, "", ""), Refused(too_many)
            continue
        if not films and query.studies:
            none = f"its study has no {' or '.join(query.modalities)} film; see --modality"
            yield Film(study, "", ""), UnsuitableFilm(none)
        yield from ((film, None) for film in films)


def _films_of_study(client: DICOMwebClient, study: str, modalities: Sequence[str]) -> list[Film]:
    with web_errors():
        all_series = client.search_for_series(study)
        if not all_series:
            raise Refused("the service has no series of it; check its UID")
        uids = [
            first_value(series, SERIES)
            for series in all_series
            if first_value(series, "00080060") in modalities
        ]
        return [
            Film(study, uid, first_value(instance, INSTANCE))
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
        new = {first_value(study, _STUDY): study for study in page}
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


def first_value(dataset: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON; empty if missing."""
    values = dataset.get(tag, {}).get("Value") or [""]
    return str(values[0])
