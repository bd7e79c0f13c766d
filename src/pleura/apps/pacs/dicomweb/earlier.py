"""Finding earlier reports on a film in a DICOMweb service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pleura.apps.pacs.client import web_errors
from pleura.apps.pacs.dicomweb.search import INSTANCE, SERIES, Film, first_value
from pleura.core.errors import PleuraError
from pleura.io.dicom.objects.earlier import REPORT_CLASS, EarlierReport, films_of_report
from pleura.io.dicom.received import dataset_from_json

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["Reports"]

_CLASS = "00080016"


class Reports:
    """The reports of the study that was queried last; each is fetched once."""

    def __init__(self) -> None:
        self._study = ""
        self._films: dict[str, set[str]] = {}
        """The UIDs of what each report refers to, by the report's UID."""

    def on_film(
        self, client: DICOMwebClient, film: Film, instances: Iterable[dict[str, Any]]
    ) -> list[EarlierReport]:
        """The reports of Pleura on `film` among the `instances` of its study, in their order.

        A report that the service does not give is left out: the results matter more than the link.
        """
        if film.study != self._study:
            self._study, self._films = film.study, {}
        reports = []
        for report in _reports_among(instances):
            if report.uid not in self._films:
                self._films[report.uid] = _films_of(client, film.study, report)
            if film.uid in self._films[report.uid]:
                reports.append(report)
        return reports


def _reports_among(instances: Iterable[dict[str, Any]]) -> Iterator[EarlierReport]:
    for instance in instances:
        report = EarlierReport(first_value(instance, SERIES), first_value(instance, INSTANCE))
        if first_value(instance, _CLASS) == REPORT_CLASS and all(report):
            yield report


def _films_of(client: DICOMwebClient, study: str, report: EarlierReport) -> set[str]:
    try:
        with web_errors():
            metadata = client.retrieve_instance_metadata(study, report.series, report.uid)
        return films_of_report(dataset_from_json(metadata))
    except PleuraError:
        return set()
