"""Faults of node, archive, disk and films: each good film has exactly one set of results."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.faults.site import small_disk
from pydicom.dataset import Dataset

ONE_SET = Counter({"SEG": 1, "SR": 1, "OT": 1})
FILMS = 50
SMALL = 24
"""The films for a disk that has room for half of them."""

PATIENCE_S = 240.0

KILLS = (("received", 4), ("segmented", 9), ("delivered", 21), ("received", 45), ("segmented", 48))
"""The node is killed after so many of these events, counted over all restarts."""


def send_until_stored(storescu: Callable[..., bool], port: int, films: list[Path]) -> int:
    """Send each film until it is acknowledged, as an archive does; the number of retries.

    It gives up after `PATIENCE_S`, so that a failed test leaves no thread that sends for ever.
    """
    retries, end = 0, time.monotonic() + PATIENCE_S
    for film in films:
        while not storescu(port, film, called="PLEURA"):
            assert time.monotonic() < end, f"{film.name} was never acknowledged"
            retries += 1
            time.sleep(0.1)
    return retries


def save_films(films: list[Dataset], folder: Path) -> list[Path]:
    """Write the films as files."""
    folder.mkdir()
    paths = [folder / f"{number:02}.dcm" for number in range(len(films))]
    for film, path in zip(films, paths, strict=True):
        film.save_as(path)
    return paths


def test_a_killed_node_loses_no_film_and_delivers_none_twice(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    orthanc: Any,
    start_node: Callable[..., Any],
    print_line: Callable[[str], None],
    tmp_path: Path,
) -> None:
    node = start_node(*orthanc.node_options)
    films, retries = small_films(FILMS), []
    files = save_films(films, tmp_path / "films")
    for film in films:
        assert tools.send(orthanc.dicom_port, film) == [0]
    sender = threading.Thread(
        target=lambda: retries.append(send_until_stored(tools.storescu, node.port, files)),
        daemon=True,
    )
    sender.start()
    for event, number in KILLS:
        tools.until(lambda e=event, n=number: node.log().count(f" {e}") >= n, f"{number} {event}")
        node.kill()
        node.start()
    sender.join(120)
    second = send_until_stored(tools.storescu, node.port, files)
    assert second == 0  # every film was sent a second time, with an answer
    tools.until(lambda: node.has(delivered=FILMS), "every film is delivered")

    by_film = tools.results_in(orthanc)
    status = node.status()
    print_line(
        f"{len(by_film)} films, node killed {len(KILLS)} times, {retries[0]} sent again without "
        f"an answer, {status.counts['duplicates']} duplicates: "
        f"{sum(results == ONE_SET for results in by_film.values())} with exactly one set of results"
    )
    assert by_film == {film.SOPInstanceUID: ONE_SET for film in films}
    assert status.films == {
        "waiting": 0,
        "segmented": 0,
        "delivered": FILMS,
        "failed": 0,
        "dropped": 0,
    }
    assert status.counts["duplicates"] >= FILMS
    tools.until(lambda: not any((node.folder / "films").iterdir()), "no pixels are left")
    assert tools.files_with_the_name(node.folder) == []
    assert node.stop() == 0


def test_an_archive_that_was_off_gets_all_results_later(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    run: Callable[..., Any],
) -> None:
    orthanc = start_orthanc()
    address = f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"
    node = start_node("--from", "ORTHANC", "--to", address, "--to", orthanc.web)
    films = small_films(4)
    orthanc.stop()
    assert tools.send(node.port, *films) == [0] * 4
    tools.until(lambda: node.has(segmented=4), "the films wait for the archive")
    tools.until(lambda: len(node.status().troubles) == 2, "both destinations have a trouble")

    status = run("node", "status", "--folder", node.folder)
    assert status.code == 6  # a destination has a trouble
    assert f"to        {address}: 4 films to deliver" in status.out
    assert f"trouble   {orthanc.web}" in status.out
    assert "node      running" in status.out
    assert node.stop() == 0  # also while no destination answers
    assert "node      not running" in run("node", "status", "--folder", node.folder).out

    orthanc.start()
    node.start()
    tools.until(lambda: node.has(delivered=4), "every film is delivered")
    for film in films:
        assert tools.send(orthanc.dicom_port, film) == [0]
    assert tools.results_in(orthanc) == {film.SOPInstanceUID: ONE_SET for film in films}
    assert node.status().troubles == []


def test_a_full_disk_delays_films_only(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    print_line: Callable[[str], None],
    tmp_path: Path,
) -> None:
    orthanc, films = start_orthanc(), small_films(SMALL)
    files = save_films(films, tmp_path / "films")
    orthanc.stop()
    with small_disk(tmp_path / "small") as (folder, options):
        node = start_node(
            *("--from", "ORTHANC", "--to", f"ORTHANC@127.0.0.1:{orthanc.dicom_port}", *options),
            name=folder,
        )
        sent = tools.send(node.port, *films)
        assert set(sent) == {0, 0xA700}
        tools.until(
            lambda: "disk" in {t["place"] for t in node.status().troubles},
            "the trouble is recorded",
        )
        orthanc.start()
        retries = send_until_stored(tools.storescu, node.port, files)
        tools.until(lambda: node.has(delivered=SMALL), "every film is delivered")
        for film in films:
            assert tools.send(orthanc.dicom_port, film) == [0]
        by_film = tools.results_in(orthanc)
        print_line(
            f"{len(by_film)} films for a disk with room for {sent.count(0)} ({options[0]}), "
            f"{retries} refused later: "
            f"{sum(results == ONE_SET for results in by_film.values())} with one set of results"
        )
        assert by_film == {film.SOPInstanceUID: ONE_SET for film in films}
        assert node.status().troubles == []
        assert node.stop() == 0


def test_unreadable_objects_do_not_affect_other_films(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    orthanc = start_orthanc()
    node = start_node("--from", "ORTHANC", "--to", orthanc.web)
    good, cut, foreign = small_films(3)
    complete = tmp_path / "cut.dcm"
    cut.save_as(complete)
    meta = complete.read_bytes()[: -len(cut.PixelData) - 12]
    garbage, truncated = tmp_path / "garbage.dcm", tmp_path / "truncated.dcm"
    truncated.write_bytes(complete.read_bytes()[:-9000])
    garbage.write_bytes(meta[: meta.index(b"\x08\x00\x16\x00")] + os.urandom(4000))

    assert tools.send_raw(node.port, garbage, monkeypatch) == 0xC000
    assert tools.send_raw(node.port, truncated, monkeypatch) == 0xC000
    monkeypatch.undo()
    foreign.BodyPartExamined = "KNEE"
    assert tools.send(node.port, foreign) == [0xB006]
    assert tools.send(node.port, good) == [0]
    assert tools.send(node.port, cut) == [0]  # complete this time
    tools.until(lambda: node.has(delivered=2), "both films are delivered")

    assert node.status().counts == {"not_films": 1, "unreadable": 2}
    for film in (good, cut):
        assert tools.send(orthanc.dicom_port, film) == [0]
    assert tools.results_in(orthanc) == {f.SOPInstanceUID: ONE_SET for f in (good, cut)}
    assert tools.files_with_the_name(node.folder) == []
