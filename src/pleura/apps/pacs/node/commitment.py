"""Storage commitment: archives confirm that they keep results (PS3.4 annex J, push model).

A request names all objects of a film. The archive reports later, mostly in an association that it
opens itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from pleura.apps.pacs.client import Refused
from pleura.apps.pacs.destinations import CStore
from pleura.apps.pacs.log import LOG
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import PendingDelivery
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.io.dicom.received import commitment_request, read_objects

__all__ = ["Commitments"]

REQUEST, COMPLETE, WITH_FAILURES = 1, 1, 2
"""The types of the action and of the two events (PS3.4 J.3)."""

UNKNOWN_TRANSACTION = 0x0110
REPORT_S = 3600.0
"""The time for a report; then an archive is asked again, seconds."""

SAME_ASSOCIATION_S = 1.0
"""How long the association of a request stays open for its report, seconds."""


@dataclass(frozen=True, slots=True)
class Commitments:
    """The storage commitments of one node."""

    queue: Queue
    folder: NodeFolder
    retry_s: float
    """The pause before an archive gets again what it does not keep, seconds."""

    def ask(self, film: PendingDelivery, destination: CStore, name: str) -> None:
        """Ask `destination`, which the queue calls `name`, to keep all results of a film.

        Raises:
            Unreachable: there is no association.
            Refused: it gives no storage commitment.
        """
        objects = read_objects(self.folder.results_of(film.number))
        request = commitment_request(objects)
        self.queue.mark_asked(film, name, str(request.TransactionUID), wait_s=REPORT_S)
        association = destination.associate(
            [build_context(StorageCommitmentPushModel)],
            kinds="storage commitment",
            handlers=[(evt.EVT_N_EVENT_REPORT, self.answer)],
        )
        try:
            status, _ = association.send_n_action(
                request,
                REQUEST,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
            if status.get("Status") != 0:
                code = status.get("Status")
                answer = "without an answer" if code is None else f"with status {code:#06x}"
                raise Refused(f"it gives no storage commitment, {answer}")
            association.join(SAME_ASSOCIATION_S)  # it ends earlier if the archive releases it
        except (ValueError, RuntimeError) as error:
            raise Refused("the association ended before it answered") from error
        finally:
            association.release()

    def answer(self, event: Any) -> tuple[int, None]:
        """The answer to an N-EVENT-REPORT: 0, or a failure status for an unknown transaction."""
        report = event.event_information
        stored = {str(i.ReferencedSOPInstanceUID) for i in report.get("ReferencedSOPSequence", [])}
        reasons = {int(i.get("FailureReason", 0)) for i in report.get("FailedSOPSequence") or []}
        known = self._note(str(report.get("TransactionUID", "")), stored, reasons)
        return (0 if known else UNKNOWN_TRANSACTION), None

    def _note(self, transaction: str, stored: set[str], reasons: set[int]) -> bool:
        """Record which results an archive keeps. Returns False if the transaction is unknown."""
        request = self.queue.delivery_of(transaction)
        if request is None:
            LOG.warning("a report of storage commitment for an unknown or outdated request")
            return False
        film, name = request
        paths = self.folder.results_of(film.number)
        objects = read_objects(paths)
        uids = {p.name: str(o.SOPInstanceUID) for p, o in zip(paths, objects, strict=True)}
        kept = {file for file, uid in uids.items() if uid in stored}
        if kept == uids.keys():
            LOG.info("film %d: %s keeps all results", film.number, name)
            self.queue.mark_committed(film, name)
        else:
            codes = ", ".join(f"{reason:#06x}" for reason in sorted(reasons))
            reason = f"no storage commitment for {len(uids) - len(kept)} objects ({codes})"
            LOG.warning("film %d: %s gives %s", film.number, name, reason)
            self.queue.mark_stored(film, name, film.stored & kept)
            self.queue.mark_rejected(film, name, reason, wait_s=self.retry_s)
        return True
