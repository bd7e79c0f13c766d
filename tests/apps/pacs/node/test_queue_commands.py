"""`pleura node queue`: what an operator sees, tries again, sends elsewhere and gives up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.queue import Queue

UID = "1.2.840.113619.2.7"


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """A node's folder: film 1 waits, 2 is refused by A and lacks B, 3 failed, 4 is delivered."""
    folder = NodeFolder(tmp_path / "node")
    folder.make()
    queue = Queue(folder.queue)
    for number in range(1, 5):
        folder.write_film(f"{number}.dcm", b"pixels")
        queue.add(f"{UID}.{number}", f"{number}.dcm", sender="CR1", size=2_000_000)
    folder.write_results(2, {"4-dicom-sr.dcm": b"report"})
    queue.mark_segmented(2, ["A@pacs:104", "B@pacs:104"], verdict="ok")
    refused = queue.next_delivery("A@pacs:104")
    assert refused is not None
    queue.mark_stored(refused, "A@pacs:104", ["4-dicom-sr.dcm"])
    queue.mark_rejected(refused, "A@pacs:104", "status 0xa900", wait_s=3600.0)
    folder.write_results(3, {"1-dicom-sr-failed.dcm": b"failure"})
    queue.mark_failed(3, "the image holds 2 grey values", ["A@pacs:104"])
    queue.mark_segmented(4, ["B@pacs:104"], verdict="ok")
    for _ in range(2):
        due = queue.next_delivery("B@pacs:104")
        assert due is not None
        if due.number == 4:
            queue.mark_delivered(due, "B@pacs:104")
        else:
            queue.mark_rejected(due, "B@pacs:104", "later", wait_s=3600.0)
    folder.delete_film("4.dcm")
    queue.close()
    return folder


@pytest.fixture
def queue_command(run: Callable[..., Any], folder: NodeFolder) -> Callable[..., Any]:
    return lambda *arguments: run("node", "queue", *arguments, "--folder", folder.root)


def listed(queue_command: Callable[..., Any], *options: object) -> dict[int, Any]:
    ended = queue_command("list", "--json", *options)
    assert ended.code == 0
    return {film["number"]: film for film in json.loads(ended.out)["films"]}


def test_the_list_shows_what_is_open(queue_command: Callable[..., Any]) -> None:
    ended = queue_command("list")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()[1:]]
    assert [line[:2] for line in lines] == [["1", "waiting"], ["2", "segmented"], ["3", "failed"]]
    assert "to A@pacs:104, refused 1 times: status 0xa900" in ended.out
    assert "the image holds 2 grey values; to A@pacs:104" in ended.out
    assert "2.0 MB" in ended.out
    assert set(listed(queue_command, "--state", "delivered", "--state", "failed")) == {3, 4}
    ended = queue_command("list", "--limit", "2")
    assert len(ended.out.splitlines()) == 3
    assert "there are more films" in ended.err
    assert queue_command("list", "--state", "dropped").out == "no films\n"


def test_a_film_is_shown_by_its_number_or_uid(queue_command: Callable[..., Any]) -> None:
    ended = queue_command("show", 2)
    assert ended.code == 0
    assert ended.out.startswith("film      2\nstate     segmented")
    assert (
        "\nto        A@pacs:104, refused 1 times: status 0xa900; it has 4-dicom-sr.dcm" in ended.out
    )
    assert queue_command("show", "--uid", f"{UID}.2").out.splitlines()[0] == "film      2"
    assert json.loads(queue_command("show", 3, "--json").out)["state"] == "failed"
    missing = queue_command("show", "--uid", "1.2.3")
    assert missing.code == 2
    assert "no film of this SOPInstanceUID was acknowledged here" in missing.err
    assert queue_command("show").code == 2
    unknown = queue_command("show", 99)
    assert (unknown.code, "no film 99 is in the queue" in unknown.err) == (2, True)


def test_retry_segments_failed_films_and_sends_refused_results_now(
    queue_command: Callable[..., Any], folder: NodeFolder
) -> None:
    ended = queue_command("retry", 2, 3)
    assert ended.code == 0
    assert ended.out == (
        "film 2: is sent again to A@pacs:104, B@pacs:104\nfilm 3: waits for the network\n"
    )
    films = listed(queue_command)
    assert (films[3]["state"], films[3]["reason"], films[3]["unsent"]) == ("waiting", None, [])
    queue = Queue(folder.queue)
    due = queue.next_delivery("A@pacs:104")
    assert due is not None
    assert (due.number, due.stored) == (2, {"4-dicom-sr.dcm"})
    queue.close()
    ended = queue_command("retry", "--failed")
    assert (ended.code, ended.out) == (0, "no films\n")


def test_a_change_that_is_not_possible_changes_nothing(queue_command: Callable[..., Any]) -> None:
    before = listed(queue_command)
    ended = queue_command("retry", 3, 4)
    assert ended.code == 2
    assert "film 4 is delivered: its results are deleted here" in ended.err
    assert "nothing was changed" in ended.err
    assert queue_command("redeliver", 1).code == queue_command("retry").code == 2
    ended = queue_command("redeliver", 2, "--to", "pacs")
    assert (ended.code, "is no destination" in ended.err) == (2, True)
    after = listed(queue_command)
    assert {n: film["state"] for n, film in after.items()} == {
        n: film["state"] for n, film in before.items()
    }


def test_redeliver_sends_what_was_confirmed_too(queue_command: Callable[..., Any]) -> None:
    ended = queue_command("redeliver", 2)
    assert ended.out == "film 2: all its results are sent to A@pacs:104, B@pacs:104\n"
    unsent = listed(queue_command)[2]["unsent"]
    assert [(d["destination"], d["stored"], d["attempts"]) for d in unsent] == [
        ("A@pacs:104", [], 0),
        ("B@pacs:104", [], 0),
    ]


def test_results_for_an_archive_that_has_moved_go_to_the_new_one(
    queue_command: Callable[..., Any],
) -> None:
    ended = queue_command("redeliver", "--lacking", "A@pacs:104", "--to", "A@new:104")
    assert ended.out.splitlines() == [
        "film 2: all its results are sent to A@new:104",
        "film 3: all its results are sent to A@new:104",
    ]
    films = listed(queue_command)
    assert [d["destination"] for d in films[2]["unsent"]] == ["A@new:104", "B@pacs:104"]
    assert films[2]["unsent"][1]["attempts"] == 1  # B is left as it was
    assert [d["destination"] for d in films[3]["unsent"]] == ["A@new:104"]


def test_drop_asks_and_deletes(
    queue_command: Callable[..., Any], folder: NodeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = queue_command("drop", 2, 3)
    assert ended.code == 2
    assert "give --yes" in ended.err
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    ended = queue_command("drop", 2, 3)
    assert (ended.code, "nothing was changed" in ended.err) == (2, True)
    assert {path.name for path in folder.films.iterdir()} == {"1.dcm", "2.dcm", "3.dcm"}
    ended = queue_command("drop", 2, 3, "--yes")
    assert ended.out == "film 2: dropped, was segmented\nfilm 3: dropped, was failed\n"
    assert {path.name for path in folder.films.iterdir()} == {"1.dcm"}
    assert list(folder.results.iterdir()) == []
    assert set(listed(queue_command)) == {1}
    queue = Queue(folder.queue)
    assert str(queue.add(f"{UID}.2", "2.dcm", sender="CR1", size=1).accepted) == "again"
    queue.close()


def test_a_command_without_a_queue_or_with_a_misplaced_option_says_so(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    ended = run("node", "queue", "list", "--folder", tmp_path / "none")
    assert (ended.code, "no node has run in" in ended.err) == (2, True)
    assert not (tmp_path / "none").exists()
    ended = run("node", "--folder", tmp_path, "queue", "list")
    assert ended.code == 2
    assert "--folder is given before 'queue'" in ended.err


def test_a_running_node_applies_the_commands(
    orthanc: Any,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    run: Callable[..., Any],
) -> None:
    """Results for an archive that is gone are sent to another; a film that failed is retried."""
    gone = f"GONE@127.0.0.1:{tools.free_port()}"
    node = start_node("--to", gone, *orthanc.node_options)
    good, grey = small_films(2)
    assert tools.send(node.port, good, tools.two_greys(grey)) == [0, 0]
    tools.until(lambda: node.has(segmented=1, failed=1), "one film lacks a destination, one failed")
    tools.until(lambda: len(orthanc.instances()) == 4, "Orthanc has the results and the report")

    where = ("--folder", node.folder)
    moved = run(
        "node", "queue", "redeliver", "--lacking", gone, "--to", orthanc.node_options[-1], *where
    )
    assert moved.code == 0
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert run("node", "queue", "retry", "--failed", *where).code == 0
    tools.until(lambda: node.log().count("film 2 failed") == 2, "the film is tried again")
    assert run("node", "queue", "drop", "--failed", "--yes", *where).code == 0
    assert node.has(delivered=1, failed=0, dropped=1)
    assert not list((node.folder / "films").glob("*.dcm"))
    assert len(orthanc.instances()) == 4  # each object once, although some were sent twice


def test_other_formats_at_the_next_start_apply_to_what_waits(
    orthanc: Any,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
) -> None:
    orthanc.stop()
    node = start_node(*orthanc.node_options)
    assert tools.send(node.port, small_films(1)[0]) == [0]
    tools.until(lambda: node.has(segmented=1), "the results wait for the archive")
    assert node.stop() == 0
    orthanc.start()
    node = start_node(*orthanc.node_options, "--format", "dicom-sr,dicom-gsps")
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert "1 films are segmented again: their results had other formats" in node.log()
    results = orthanc.instances()
    assert sorted(orthanc.tag(result["ID"], "Modality") for result in results) == ["PR", "SR"]
