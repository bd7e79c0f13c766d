"""The reports on each film that a destination has, in a node's queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pleura.apps.pacs.node.queue.queue import Queue
from pleura.io.dicom.objects.earlier import EarlierReport, report_in

__all__ = ["note_reports", "sent_reports"]


def note_reports(queue: Queue, number: int, objects: Iterable[Any]) -> None:
    """Note the reports among DICOM objects of a film that a destination confirmed."""
    reports = [report for report in map(report_in, objects) if report is not None]
    if not reports:
        return
    with queue.change() as base:
        base.executemany(
            "INSERT OR IGNORE INTO reports (number, uid, series) VALUES (?, ?, ?)",
            [(number, report.uid, report.series) for report in reports],
        )


def sent_reports(queue: Queue, number: int) -> list[EarlierReport]:
    """The reports on a film that a destination confirmed, the first one first."""
    with queue.change() as base:
        rows = base.execute(
            "SELECT series, uid FROM reports WHERE number = ? ORDER BY rowid", (number,)
        )
        return [EarlierReport(*row) for row in rows]
