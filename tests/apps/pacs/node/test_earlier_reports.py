"""A report of the node names the earlier reports of its film that an archive has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pydicom
from pydicom.dataset import Dataset


def reports_in(orthanc: Any) -> dict[str, Dataset]:
    """The reports in Orthanc by UID."""
    files = [
        orthanc.rest.get(f"/instances/{entry['ID']}/file").content
        for entry in orthanc.instances("SR")
    ]
    return {report.SOPInstanceUID: report for report in map(read, files)}


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(content))


def named(report: Dataset) -> list[str]:
    """The UIDs of the predecessors of a report, which are all in its study."""
    uids = []
    for study in report.get("PredecessorDocumentsSequence", ()):
        assert study.StudyInstanceUID == report.StudyInstanceUID
        for series in study.ReferencedSeriesSequence:
            uids += [instance.ReferencedSOPInstanceUID for instance in series.ReferencedSOPSequence]
    return uids


def test_reports_of_a_film_that_is_sent_again_are_linked(
    orthanc: Any,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    run: Callable[..., Any],
) -> None:
    (film,) = small_films(1)
    grey = tools.two_greys(copy.deepcopy(film))
    known: list[str] = []

    def send_and_drop(sent: Dataset, *more: str, state: str) -> None:
        node = start_node(*orthanc.node_options, *more)
        assert tools.send(node.port, sent) == [0]
        tools.until(lambda: len(orthanc.instances("SR")) > len(known), "another report arrives")
        tools.until(lambda: node.has(**{state: 1}), "it is delivered")
        (new,) = reports_in(orthanc).keys() - set(known)
        assert named(reports_in(orthanc)[new]) == known
        known.append(new)
        assert run("node", "queue", "drop", 1, "--yes", "--folder", node.folder).code == 0
        assert node.stop() == 0

    send_and_drop(grey, state="failed")
    send_and_drop(film, state="delivered")
    send_and_drop(film, "--flip", state="delivered")
    node = start_node(*orthanc.node_options, "--flip")
    assert tools.send(node.port, film) == [0]  # its results have the UIDs of the last ones
    tools.until(lambda: node.has(delivered=1), "it is delivered again")
    assert len(orthanc.instances("SR")) == 3
    assert node.stop() == 0
