"""The faults: each function makes one happen to a real node, and counts its films."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from benchmarks.faults.archive import HTML, JSON, Answer, Archive, names
from benchmarks.faults.peers import (
    REQUEST,
    Peer,
    associate_request,
    is_closed,
    memory_kb,
    pdu,
)
from benchmarks.faults.site import small_disk, until
from benchmarks.faults.stage import Outcome, drawn_films, in_thread, stage

CONNECTIONS = 200
YEAR_S = 365 * 24 * 3600
OTHER_ADDRESS = "127.0.0.2"

Outcomes = Iterator[Outcome]


def killed_at_random(work: Path, kills: int) -> Outcomes:
    """kill -9 at random moments, also while it starts, and a sender that repeats each film."""
    films, moments = drawn_films(kills * 3 // 2), random.Random(22)
    with stage(work) as place:
        killed = 0

        def send() -> None:
            for number, film in enumerate(films):
                until(lambda n=number: killed * len(films) >= n * kills, "a kill", wait_s=900)
                place.send_all([film])

        sender = in_thread(send)
        for _ in range(kills - 1):
            time.sleep(moments.uniform(0.0, 4.0))
            place.node.kill()
            killed += 1
            starting = moments.random() < 0.25
            (place.node.launch if starting else place.node.start)()
        place.node.kill()
        killed += 1
        place.node.start()
        sender.join(900)
        place.send_all(films)  # a second time
        place.finish()
        repeated = place.archive.received - len(place.archive.objects)
        note = f"{place.retries} tries without an answer, {repeated} objects sent again"
        yield place.outcome(f"kill -9 at {kills} random moments", note)


def killed_at_one_film(work: Path) -> Outcomes:
    """Five kills while the same film is in the network; then the operator retries it."""
    films = drawn_films(1, side=2500) + drawn_films(3)[1:]
    uid = str(films[0].SOPInstanceUID)
    with stage(work) as place:
        place.send_all(films)
        for kill in range(5):
            until(lambda k=kill: (place.row(uid, "attempts") or [0])[0] > k, "an attempt")
            place.node.kill()
            place.node.start()
        place.finish()
        note = f"{place.archive.failure_reports()} report of a failure"
        yield place.outcome("five kills during one film", note)
        command = ["node", "queue", "retry", "--failed", "--folder", str(place.node.folder)]
        subprocess.run([sys.executable, "-m", "pleura", *command], check=True, capture_output=True)
        place.finish()
        yield place.outcome("... and `pleura node queue retry --failed`")


ANSWERS: dict[str, Callable[[list[Dataset]], Answer]] = {
    "HTTP 200 with a login page": lambda _: (200, HTML, b"<html>login</html>"),
    "HTTP 200 without content": lambda _: (200, JSON, b""),
    "HTTP 401": lambda _: (401, HTML, b""),
    "HTTP 429": lambda _: (429, JSON, b""),
    "HTTP 500": lambda _: (500, HTML, b"<html>error</html>"),
    "HTTP 503": lambda _: (503, JSON, b""),
}


def answered_by_web(work: Path) -> Outcomes:
    """Three wrong answers of STOW-RS, then right ones."""
    for number, (name, answer) in enumerate(ANSWERS.items()):
        with stage(work / str(number), web=True) as place:
            place.archive.answers.extend([answer] * 3)
            place.send_all(drawn_films(3))
            place.finish()
            yield place.outcome(f"STOW-RS: {name}, three times")
    with stage(work / "some", web=True) as place:
        place.archive.answers.extend([partial(_store_reports, place.archive)] * 3)
        place.send_all(drawn_films(3))
        place.finish()
        again = place.archive.received - len(place.archive.objects)
        note = f"{again} objects sent again that were stored"
        yield place.outcome("STOW-RS: HTTP 202, the report alone stored, three times", note)


def _store_reports(archive: Archive, objects: list[Dataset]) -> Answer:
    reports = [dataset for dataset in objects if dataset.Modality == "SR"]
    archive.store(reports)
    return 202, JSON, names(reports)


def refused_segmentations(work: Path) -> Outcomes:
    """An archive without Segmentations, and a start with other formats."""
    with stage(work) as place:
        place.archive.refused.add(SegmentationStorage)
        place.send_all(drawn_films(4))
        until(lambda: len(place.node.status().refused) == 4, "Segmentations are refused")
        before = place.archive.received
        place.node.stop()
        place.node.start_with("--format", "dicom-sr,dicom-sc")
        place.finish()
        again = place.archive.received - before
        yield place.outcome(
            "Segmentations refused, then `--format dicom-sr,dicom-sc`",
            f"{again} objects sent again",
            expected=Counter({"SR": 1, "OT": 1}),
        )


def lost_answers(work: Path) -> Outcomes:
    """The archive stores an object, and its answer is lost."""
    with stage(work) as place:
        place.archive.lost_answers = 5
        place.send_all(drawn_films(4))
        place.finish()
        again = place.archive.received - len(place.archive.objects)
        yield place.outcome("C-STORE: stored, the answer lost, five times", f"{again} sent again")


def crowded(work: Path) -> Outcomes:
    """Connections that do nothing, requests in part, and associations that do nothing."""
    for number, (name, first) in enumerate(
        {
            "idle sockets": b"",
            "requests in part": associate_request()[:40],
            "idle associations": associate_request(),
        }.items()
    ):
        with stage(work / str(number), "--anyone") as place, ExitStack() as stack:
            peer = Peer(place.node.port, stack)
            for _ in range(CONNECTIONS):
                try:
                    peer.connect(OTHER_ADDRESS).sendall(first)
                except OSError:  # closed for a newer one
                    continue
            start = time.monotonic()
            place.send_all(drawn_films(4))
            took = time.monotonic() - start
            place.finish()
            note = f"acknowledged in {took:.1f} s, {place.retries} sent again"
            yield place.outcome(f"{CONNECTIONS} {name} of another address", note)


def announced_4_gb(work: Path) -> Outcomes:
    """An A-ASSOCIATE of 4 GB, then films."""
    with stage(work) as place, ExitStack() as stack:
        before = memory_kb(place.node.process.pid)
        connection = Peer(place.node.port, stack).connect()
        connection.sendall(pdu(REQUEST, b"", length=0xFFFFFFF0))
        closed = is_closed(connection)
        grown = (memory_kb(place.node.process.pid) - before) / 1000
        place.send_all(drawn_films(2))
        place.finish()
        note = f"{'closed' if closed else 'not closed'}, {grown:.1f} MB more memory"
        yield place.outcome("an A-ASSOCIATE of 4 GB", note)


def full_disk(work: Path) -> Outcomes:
    """A disk with room for some of the films, while the archive is away."""
    work.mkdir(parents=True)
    with (
        small_disk(work / "small") as (folder, options),
        stage(work / "on", *options, folder=folder) as place,
    ):
        place.archive.stop()
        films = drawn_films(24)
        refused = sum(not place.send(film) for film in films)
        place.archive.start()
        place.send_all(films)
        place.finish()
        yield place.outcome("a full disk", f"{refused} films not taken at first ({options[0]})")


def stepped_clock(work: Path) -> Outcomes:
    """The clock steps back by a year, and on by two, while the archive is away."""
    clock = work / "clock"
    work.mkdir(parents=True)
    clock.write_text("0")
    with stage(work / "on", faulty=["--clock", str(clock)]) as place:
        for step in (-YEAR_S, YEAR_S):
            place.archive.stop()
            films = drawn_films(6)[: 3 if step < 0 else 6]
            place.send_all(films)
            until(lambda: place.node.status().troubles, "the archive is missed")
            clock.write_text(str(step))
            place.send_all(films)  # a second time
            place.archive.start()
            start = time.monotonic()
            place.finish()
            took = time.monotonic() - start
        yield place.outcome(
            "the clock set back by a year, then on by two", f"{took:.0f} s to deliver"
        )


def sent_three_times(work: Path) -> Outcomes:
    """Each film in three associations at the same time."""
    films = drawn_films(12)
    with stage(work) as place:
        senders = [in_thread(place.send_all, films) for _ in range(3)]
        for sender in senders:
            sender.join(300)
        place.finish()
        note = f"{place.node.status().counts['duplicates']} recognised"
        yield place.outcome("each film sent three times at once", note)


def not_segmentable(work: Path) -> Outcomes:
    """Films of two grey values, which fail after they were acknowledged."""
    films = drawn_films(4)
    for film in films[:2]:
        half = film.pixel_array > np.median(film.pixel_array)
        film.PixelData = (half * 1000).astype("<u2").tobytes()
    with stage(work) as place:
        place.send_all(films)
        place.finish()
        note = f"{place.archive.failure_reports()} reports of failures"
        yield place.outcome("films that cannot be segmented", note)


def hanging(work: Path) -> Outcomes:
    """A film that takes for ever in the network, between others."""
    with stage(work, "--film-timeout", "20", faulty=["--hang", "P1"]) as place:
        place.send_all(drawn_films(4))
        place.finish()
        note = f"{place.archive.failure_reports()} report of a failure"
        yield place.outcome("a film that hangs in the network", note)


RUNS: dict[str, Callable[[Path], Outcomes]] = {
    "one-film": killed_at_one_film,
    "stow": answered_by_web,
    "seg": refused_segmentations,
    "answers": lost_answers,
    "crowd": crowded,
    "length": announced_4_gb,
    "disk": full_disk,
    "clock": stepped_clock,
    "duplicates": sent_three_times,
    "fails": not_segmentable,
    "hangs": hanging,
}
"""The faults by the names of `--only`. Kills at random moments have a number of their own."""
