"""Everything goes wrong: each good film ends with exactly one set of results all the same."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

ONE_SET = Counter({"SEG": 1, "SR": 1, "OT": 1})
FILMS = 50
SMALL = 24
"""Films for a disk that has room for half of them."""

KILLS = (("received", 4), ("segmented", 9), ("delivered", 21), ("received", 45), ("segmented", 48))
"""The node is killed when so many films have come to this point, counted over all its lives."""


def send_until_taken(storescu: Callable[..., bool], port: int, films: list[Path]) -> int:
    """As an archive does: what was not acknowledged is sent again. How often that was so."""
    again = 0
    for film in films:
        while not storescu(port, film, called="PLEURA"):
            again += 1
            time.sleep(0.1)
    return again


def saved(films: list[Dataset], folder: Path) -> list[Path]:
    """The films as files."""
    folder.mkdir()
    paths = [folder / f"{number:02}.dcm" for number in range(len(films))]
    for film, path in zip(films, paths, strict=True):
        film.save_as(path)
    return paths


def test_a_node_that_is_killed_loses_nothing_and_does_nothing_twice(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    tell: Callable[[str], None],
    tmp_path: Path,
) -> None:
    orthanc = start_orthanc()
    node = start_node("--from", "ORTHANC", "--to", f"ORTHANC@127.0.0.1:{orthanc.dicom_port}")
    films, counted = small_films(FILMS), []
    files = saved(films, tmp_path / "films")
    for each in films:
        assert tools.send(orthanc.dicom_port, each) == [0]
    sender = threading.Thread(
        target=lambda: counted.append(send_until_taken(tools.storescu, node.port, files))
    )
    sender.start()
    for event, number in KILLS:
        tools.until(lambda e=event, n=number: node.log().count(f" {e}") >= n, f"{number} {event}")
        node.kill()
        node.start()
    sender.join(120)
    assert (
        send_until_taken(tools.storescu, node.port, files) == 0
    )  # every one of them a second time
    tools.until(lambda: node.has(delivered=FILMS), "every film is delivered")

    held = tools.results_in(orthanc)
    status = node.status()
    tell(
        f"{len(held)} films, node killed {len(KILLS)} times, {counted[0]} sent again for want of "
        f"an answer, {status.counts['duplicates']} known: "
        f"{sum(results == ONE_SET for results in held.values())} with exactly one set of results"
    )
    assert held == {film.SOPInstanceUID: ONE_SET for film in films}
    assert status.films == {"waiting": 0, "segmented": 0, "delivered": FILMS, "failed": 0}
    assert status.counts["duplicates"] >= FILMS
    tools.until(lambda: not any((node.folder / "films").iterdir()), "no pixels are left")
    assert tools.said_of_the_patient(node.folder) == []
    assert node.stop() == 0


def test_an_archive_that_is_away_gets_everything_later(
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
    tools.until(lambda: len(node.status().troubles) == 2, "both ways are told to be shut")

    told = run("node", "status", "--folder", node.folder)
    assert told.code == 0
    assert f"to        {address}: 4 films to deliver" in told.out
    assert f"trouble   {orthanc.web}" in told.out
    assert "node      running" in told.out
    assert node.stop() == 0  # also while nobody answers
    assert "node      not running" in run("node", "status", "--folder", node.folder).out

    orthanc.start()
    node.start()
    tools.until(lambda: node.has(delivered=4), "every film is delivered")
    for film in films:
        assert tools.send(orthanc.dicom_port, film) == [0]
    assert tools.results_in(orthanc) == {film.SOPInstanceUID: ONE_SET for film in films}
    assert node.status().troubles == []


def test_a_full_disk_is_told_and_survived(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    tell: Callable[[str], None],
    tmp_path: Path,
) -> None:
    orthanc, films = start_orthanc(), small_films(SMALL)
    files = saved(films, tmp_path / "films")
    orthanc.stop()
    with small_disk(tmp_path / "small") as (folder, options):
        node = start_node(
            *("--from", "ORTHANC", "--to", f"ORTHANC@127.0.0.1:{orthanc.dicom_port}", *options),
            name=folder,
        )
        sent = tools.send(node.port, *films)
        assert set(sent) == {0, 0xA700}
        tools.until(lambda: "disk" in {t["place"] for t in node.status().troubles}, "it is told")
        orthanc.start()
        again = send_until_taken(tools.storescu, node.port, files)
        tools.until(lambda: node.has(delivered=SMALL), "every film is delivered")
        for film in films:
            assert tools.send(orthanc.dicom_port, film) == [0]
        held = tools.results_in(orthanc)
        tell(
            f"{len(held)} films for a disk with room for {sent.count(0)} ({options[0]}), "
            f"{again} refused later: "
            f"{sum(results == ONE_SET for results in held.values())} with one set of results"
        )
        assert held == {film.SOPInstanceUID: ONE_SET for film in films}
        assert node.status().troubles == []
        assert node.stop() == 0


@contextmanager
def small_disk(place: Path) -> Iterator[tuple[str, list[str]]]:
    """A disk of 7 MB where we may mount one, else a folder with a quota; and the node's options."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", str(place)]
    mounted = os.name == "posix" and subprocess.run(command, capture_output=True).returncode == 0
    try:
        room = ["--keep-free", "6"] if mounted else ["--quota", "1"]
        yield str(place / "node"), room
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


def test_what_cannot_be_read_takes_nothing_with_it(
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
    whole = tmp_path / "cut.dcm"
    cut.save_as(whole)
    meta = whole.read_bytes()[: -len(cut.PixelData) - 12]
    garbage, truncated = tmp_path / "garbage.dcm", tmp_path / "truncated.dcm"
    truncated.write_bytes(whole.read_bytes()[:-9000])
    garbage.write_bytes(meta[: meta.index(b"\x08\x00\x16\x00")] + os.urandom(4000))

    assert tools.send_raw(node.port, garbage, monkeypatch) == 0xC000
    assert tools.send_raw(node.port, truncated, monkeypatch) == 0xC000
    monkeypatch.undo()
    foreign.BodyPartExamined = "KNEE"
    assert tools.send(node.port, foreign) == [0xB006]
    assert tools.send(node.port, good) == [0]
    assert tools.send(node.port, cut) == [0]  # whole, this time
    tools.until(lambda: node.has(delivered=2), "both films are delivered")

    assert node.status().counts == {"not_films": 1, "unreadable": 2}
    for film in (good, cut):
        assert tools.send(orthanc.dicom_port, film) == [0]
    assert tools.results_in(orthanc) == {f.SOPInstanceUID: ONE_SET for f in (good, cut)}
    assert tools.said_of_the_patient(node.folder) == []
