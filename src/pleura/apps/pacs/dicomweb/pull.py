"""Pulling films from a DICOMweb service, segmenting them, and pushing the results back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pleura.apps.pacs.client import Refused, web_errors
from pleura.apps.pacs.destinations import Stow
from pleura.apps.pacs.dicomweb.earlier import Reports
from pleura.apps.pacs.dicomweb.search import INSTANCE, Film, Query, find_films, first_value
from pleura.apps.pacs.results import ResultMaker, verdict_text
from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.dicom.received import dataset_from_json
from pleura.io.dicom.results import dicom_bytes

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Pull", "Pulled", "pull_films"]

_ANY_SYNTAX = (("application/dicom", "*"),)


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

    _reports: Reports = field(default_factory=Reports)

    def __call__(self, film: Film) -> Pulled:
        """Segment a film and store its results, unless the target has them.

        Raises:
            Unreachable: a service does not answer; every further film would fail.
        """
        try:
            with web_errors():
                instances = self.target.search_for_instances(film.study)
            if self._has_results(film, instances):
                return Pulled("there")
            if self.dry_run:
                return Pulled("to do")
            self._wait()
            content = self._content(film)
            earlier = self._reports.on_film(self.target, film, instances)
            results, quality = self.maker.objects(content, received=True, earlier=earlier)
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

    def _has_results(self, film: Film, instances: list[dict[str, Any]]) -> bool:
        with web_errors():
            metadata = self.source.retrieve_instance_metadata(*film)
        stored = {first_value(instance, INSTANCE) for instance in instances}
        return any(
            stored >= uids for uids in self.maker.result_uid_sets(dataset_from_json(metadata))
        )

    def _content(self, film: Film) -> bytes:
        with web_errors():
            return dicom_bytes(self.source.retrieve_instance(*film, media_types=_ANY_SYNTAX))


def pull_films(pull: Pull, query: Query) -> Iterator[tuple[Film, Pulled]]:
    """Pull the films of `query`; a study that cannot be listed is a failed film without its UID.

    Raises:
        Unreachable, Refused: the service does not answer, or rejects the query for studies.
    """
    for film, problem in find_films(pull.source, query):
        if problem is None:
            yield film, pull(film)
        else:
            status = "no film" if isinstance(problem, UnsuitableFilm) else "failed"
            yield film, Pulled(status, str(problem))
