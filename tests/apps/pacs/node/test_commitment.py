"""Storage commitment: a film is delivered when the archive confirms that it keeps all results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

NO_SUCH_OBJECT = 0x0112


class Archive:
    """An archive that stores nothing, and reports as it is told, in associations of its own."""

    def __init__(self, node_port: int) -> None:
        self._node_port = node_port
        self.stored: list[str] = []
        self.requests: list[Dataset] = []
        self.reports: list[int] = []
        """The node's answers to reports."""

        entity = AE("ARCHIVE")
        entity.supported_contexts = StoragePresentationContexts
        entity.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._request)]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = int(self.server.server_address[1])

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _request(self, event: Any) -> tuple[int, None]:
        self.requests.append(event.action_information)
        return 0, None

    def report(self, request: Dataset, *, failed: int = 0) -> None:
        """Report on a request; its last `failed` objects are not kept."""
        items = list(request.ReferencedSOPSequence)
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = items[: len(items) - failed]
        if failed:
            report.FailedSOPSequence = items[len(items) - failed :]
            for item in report.FailedSOPSequence:
                item.FailureReason = NO_SUCH_OBJECT
        entity = AE("ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate(
            "127.0.0.1", self._node_port, ae_title="PLEURA", ext_neg=[role]
        )
        assert association.is_established
        status, _ = association.send_n_event_report(
            report,
            2 if failed else 1,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        self.reports.append(int(status.Status))
        association.release()


@pytest.fixture
def archive(tools: SimpleNamespace) -> Iterator[Archive]:
    archive = Archive(tools.free_port())
    yield archive
    archive.server.shutdown()


def test_orthanc_gives_storage_commitment(
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
) -> None:
    port = tools.free_port()
    orthanc = start_orthanc(pleura_port=port)
    to = f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"
    node = start_node("--from", "ORTHANC", "--to", to, "--commit", port=port)
    assert tools.send(node.port, *small_films(2)) == [0, 0]
    tools.until(lambda: node.has(delivered=2), "both films are delivered")
    assert node.log().count(f"{to} keeps all results") == 2
    assert len(orthanc.instances()) == 6
    assert not list((node.folder / "films").iterdir())


def test_results_that_an_archive_does_not_keep_are_sent_again(
    archive: Archive,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    run: Callable[..., Any],
) -> None:
    to = f"ARCHIVE@127.0.0.1:{archive.port}"
    node = start_node("--from", "ORTHANC", "--to", to, "--commit", port=archive._node_port)
    assert tools.send(node.port, *small_films(1)) == [0]
    tools.until(lambda: archive.requests, "storage commitment is asked for")
    first = archive.requests[0]
    assert [i.ReferencedSOPInstanceUID for i in first.ReferencedSOPSequence] == archive.stored
    assert node.has(segmented=1)
    assert "asked to keep" in run("node", "queue", "list", "--folder", node.folder).out

    archive.report(first, failed=1)
    tools.until(lambda: len(archive.requests) == 2, "it is asked again")
    assert archive.stored[3:] == [first.ReferencedSOPSequence[-1].ReferencedSOPInstanceUID]
    assert "no storage commitment for 1 objects (0x0112)" in node.log()
    archive.report(first)  # it was answered, and counts no more
    assert node.has(segmented=1)
    archive.report(archive.requests[1])
    assert archive.reports == [0, 0x0110, 0]
    tools.until(lambda: node.has(delivered=1), "the film is delivered")


def test_a_restart_asks_again_and_sends_nothing_twice(
    archive: Archive,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
) -> None:
    to = f"ARCHIVE@127.0.0.1:{archive.port}"
    node = start_node("--from", "ORTHANC", "--to", to, "--commit", port=archive._node_port)
    assert tools.send(node.port, *small_films(1)) == [0]
    tools.until(lambda: archive.requests, "storage commitment is asked for")
    node.kill()
    node.start()
    tools.until(lambda: len(archive.requests) == 2, "it is asked again")
    assert len(archive.stored) == 3
    archive.report(archive.requests[1])
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert len(archive.stored) == 3
