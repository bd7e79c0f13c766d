"""`pleura dicomweb` with a small archive over HTTP whose answers can fail."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from benchmarks.faults.archive import names, objects_in
from pydicom.dataset import Dataset

JSON = "application/dicom+json"


class Archive(ThreadingHTTPServer):
    """An archive of films and results, in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: list[Dataset] = []
        self.requests: Counter[str] = Counter()
        """Requests by the part of DICOMweb: studies, series, instances, metadata, film, store."""

        self.busy = 0
        """So many of the next requests are answered with 503."""

        self.broken_study = ""
        """The study whose series are answered with 500."""

        self.gives_no_reports = False
        """Whether the metadata of reports are answered with 404."""

        self.url = f"http://127.0.0.1:{self.server_port}/dicom-web"


class Handler(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        parts, query = address.path.split("/")[2:], parse_qs(address.query)
        if self._is_busy():
            return
        if len(parts) == 7 and self.server.gives_no_reports and self._is_report(*parts[1:6:2]):
            self._send(404, "text/plain", b"")
        elif len(parts) == 7:
            self._answer("metadata", [film.to_json_dict() for film in self._at(*parts[1:6:2])])
        elif len(parts) == 6:
            self._send_film(next(self._at(*parts[1:6:2])))
        elif len(parts) == 3 and parts[2] == "series" and parts[1] == self.server.broken_study:
            self._send(500, "text/plain", b"")
        elif parts[-1] == "studies":
            self._answer("studies", self._studies(query))
        else:
            uids = [*parts[1:5:2], "", ""][:2]
            self._answer(parts[-1], [film.to_json_dict() for film in self._at(*uids, "")])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_busy():
            return
        results = objects_in(body)
        self.server.stored += results
        self.server.requests["store"] += 1
        self._send(200, JSON, names(results))

    def _is_busy(self) -> bool:
        is_busy = self.server.busy > 0
        if is_busy:
            self.server.busy -= 1
            self.server.requests["busy"] += 1
            self._send(503, JSON, b"")
        return is_busy

    def _at(self, *uids: str) -> Iterator[Dataset]:
        keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        for film in self.server.stored:
            if all(not uid or film[key].value == uid for key, uid in zip(keys, uids, strict=True)):
                yield film

    def _is_report(self, *uids: str) -> bool:
        return any(found.Modality == "SR" for found in self._at(*uids))

    def _studies(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        first, last = query["StudyDate"][0].split("-")
        films = {
            film.StudyInstanceUID: film
            for film in self.server.stored
            if first <= film.StudyDate <= (last or "99991231")
        }
        offset = int(query["offset"][0])
        return [film.to_json_dict() for film in list(films.values())[offset:]]

    def _send_film(self, film: Dataset) -> None:
        self.server.requests["film"] += 1
        file = BytesIO()
        film.save_as(file)
        head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
        content = head + file.getvalue() + b"\r\n--edge--"
        kind = 'multipart/related; type="application/dicom"; boundary=edge'
        self._send(200, kind, content)

    def _answer(self, name: str, datasets: list[dict[str, Any]]) -> None:
        self.server.requests[name] += 1
        for dataset in datasets:
            dataset.pop("7FE00010", None)
        self._send(200 if datasets else 204, JSON, json.dumps(datasets).encode() * bool(datasets))

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def archive(small_films: Callable[[int], list[Dataset]]) -> Iterator[Archive]:
    """An archive of three films of three studies: of 2, 3 and 4 January 2026."""
    server = Archive()
    server.stored = list(small_films(3))
    for day, film in enumerate(server.stored, 2):
        film.StudyDate = f"202601{day:02}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pull(run: Callable[..., Any], archive: Archive, tiny_weights: Any) -> Callable[..., Any]:
    """`pull(*options)` runs the command; `lines` are its films, as dicts."""

    def pulled(*options: object) -> Any:
        weights = ("--weights", tiny_weights, "--format", "dicom-sr")
        ended = run("dicomweb", archive.url, *weights, "--json", "--uids", *options)
        lines = [json.loads(line) for line in ended.out.splitlines()]
        return SimpleNamespace(code=ended.code, err=ended.err, lines=lines)

    return pulled


def statuses(done: Any) -> list[str]:
    return sorted(line["status"] for line in done.lines)


def test_a_dry_run_fetches_and_stores_nothing(archive: Archive, pull: Callable[..., Any]) -> None:
    done = pull("--study", archive.stored[0].StudyInstanceUID)
    assert (done.code, statuses(done)) == (0, ["done"])
    dry = pull("--since", "2026-01-01", "--dry-run")
    assert (dry.code, statuses(dry)) == (0, ["there", "to do", "to do"])
    assert "3 films looked at: 2 to do, 1 there" in dry.err
    assert (archive.requests["film"], archive.requests["store"]) == (1, 1)


def test_until_ends_the_days(archive: Archive, pull: Callable[..., Any]) -> None:
    done = pull("--since", "2026-01-02", "--until", "2026-01-03")
    studies = {film.StudyInstanceUID for film in archive.stored[:2]}
    assert {line["study"] for line in done.lines} == studies
    assert statuses(done) == ["done", "done"]


def test_a_busy_service_is_asked_again(archive: Archive, pull: Callable[..., Any]) -> None:
    archive.busy = 2
    done = pull("--study", archive.stored[0].StudyInstanceUID, "--retry", 2)
    assert (done.code, statuses(done), archive.requests["busy"]) == (0, ["done"], 2)


def test_without_retry_a_busy_service_ends_the_run(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    archive.busy = 1
    done = pull("--study", archive.stored[0].StudyInstanceUID, "--retry", 0)
    assert (done.code, done.lines) == (1, [])
    assert "HTTP 503" in done.err


def test_a_study_that_cannot_be_listed_is_one_failed_film(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    archive.broken_study = archive.stored[1].StudyInstanceUID
    done = pull("--since", "2026-01-01")
    assert (done.code, statuses(done)) == (3, ["done", "done", "failed"])
    (failed,) = [line for line in done.lines if line["status"] == "failed"]
    assert (failed["study"], failed["uid"]) == (archive.broken_study, "")
    assert failed["reason"] == "its study cannot be listed: the service answered HTTP 500"


def test_a_named_study_without_films_is_reported(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    archive.stored[0].Modality = "CT"
    unknown = "1.2.3.4"
    done = pull("--study", archive.stored[0].StudyInstanceUID, "--study", unknown)
    assert (done.code, statuses(done)) == (3, ["failed", "no film"])
    reasons = {line["study"]: line["reason"] for line in done.lines}
    assert reasons == {
        archive.stored[0].StudyInstanceUID: "its study has no CR or DX film; see --modality",
        unknown: "its study cannot be listed: the service has no series of it; check its UID",
    }
    assert statuses(pull("--since", "2026-01-01")) == ["done", "done"]


def test_films_are_fetched_at_the_rate_that_is_asked_for(
    archive: Archive, pull: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 5.0, sleep=pauses.append)  # no time passes
    monkeypatch.setattr("pleura.apps.pacs.dicomweb.pull.time", clock)
    done = pull("--since", "2026-01-01", "--per-minute", 60)
    assert statuses(done) == ["done"] * 3
    assert pauses == [1.0, 1.0]


def test_a_study_with_too_many_films_is_one_failed_film(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    study = archive.stored[0].StudyInstanceUID
    archive.stored[1].StudyInstanceUID = study
    done = pull("--since", "2026-01-01", "--study-films", 1)
    assert (done.code, statuses(done)) == (3, ["done", "failed"])
    (failed,) = [line for line in done.lines if line["status"] == "failed"]
    assert failed["study"] == study
    assert failed["reason"] == (
        "its study has 2 films of these modalities, more than the limit of 1: none was fetched; "
        "see --study-films"
    )
    assert statuses(pull("--study", study, "--study-films", 2)) == ["done", "done"]


def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    archive: Archive, pull: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pleura.apps.pacs.client.MAX_BYTES", 30_000)  # a film has 51,200
    done = pull("--study", archive.stored[0].StudyInstanceUID)
    assert (done.code, statuses(done)) == (3, ["failed"])
    assert "answered with more than 0 MB, the limit for a film" in done.lines[0]["reason"]
    assert archive.requests["store"] == 0


def predecessors(report: Dataset) -> list[tuple[str, str, str]]:
    """The study, series and instance of each predecessor that a report names."""
    return [
        (study.StudyInstanceUID, series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def test_a_report_names_the_earlier_ones_of_its_film(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    study = archive.stored[0].StudyInstanceUID
    archive.stored[1].StudyInstanceUID = study  # two films, of which each has its own reports
    assert statuses(pull("--study", study)) == ["done", "done"]
    first = archive.stored[3:]
    assert [predecessors(report) for report in first] == [[], []]
    archive.requests.clear()
    assert statuses(pull("--study", study, "--flip")) == ["done", "done"]
    for before, after in zip(first, archive.stored[5:], strict=True):
        assert predecessors(after) == [(study, before.SeriesInstanceUID, before.SOPInstanceUID)]
    assert archive.requests["metadata"] == 2 + 3  # each film, and each report once
    assert statuses(pull("--study", study, "--flip")) == ["there", "there"]


def test_reports_that_the_archive_does_not_give_are_not_named(
    archive: Archive, pull: Callable[..., Any]
) -> None:
    study = archive.stored[0].StudyInstanceUID
    pull("--study", study)
    archive.gives_no_reports = True
    assert statuses(pull("--study", study, "--flip")) == ["done"]
    assert predecessors(archive.stored[-1]) == []
