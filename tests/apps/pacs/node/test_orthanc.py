"""A node with a real archive: films go to Orthanc, and their lungs come back to their studies."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset

ONE_SET = Counter({"SEG": 1, "SR": 1, "OT": 1})
"""The results of a film: Segmentation, report, and the overlay as a secondary capture."""


@pytest.fixture(scope="module")
def real(films_root: Path) -> list[Path]:
    """Ten files: 8 chest films with 6 different UIDs, a hip and a leg."""
    files = sorted((films_root / "dicom").glob("*.dcm"))
    assert len(files) == 10
    return files


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, force=True, stop_before_pixels=True).SOPInstanceUID)


def by_dicomweb(orthanc: Any, film: Dataset) -> dict[str, Dataset]:
    """The objects of the film's study that refer to it, by modality, as a viewer finds them."""
    client = DICOMwebClient(orthanc.web)
    results = {}
    for entry in client.search_for_instances(film.StudyInstanceUID):
        uids = [entry[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        dataset = client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
        referenced = {str(e.value) for e in dataset.iterall() if e.tag == 0x00081155}
        if film.SOPInstanceUID in referenced:
            results[dataset.Modality] = dataset
    return results


def test_films_come_back_with_their_lungs(
    real: list[Path],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    print_line: Callable[[str], None],
    tmp_path: Path,
) -> None:
    port = tools.free_port()
    orthanc = start_orthanc(pleura_port=port, lua=tools.route)
    address = f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"
    node = start_node("--shipped", "--from", "ORTHANC@127.0.0.1", "--to", address, port=port)
    assert all(tools.storescu(orthanc.dicom_port, path) for path in real)
    tools.until(lambda: node.has(delivered=6), "six films are delivered")
    tools.until(lambda: node.status().counts.get("not_films") == 2, "hip and leg are refused")
    assert node.status().films == {
        "waiting": 0,
        "segmented": 0,
        "delivered": 6,
        "failed": 0,
        "dropped": 0,
    }

    by_film = tools.results_in(orthanc)
    chest = {uid_of(path) for path in real if not path.name.startswith("neg_")}
    with_one_set = sum(results == ONE_SET for results in by_film.values())
    print_line(f"{len(by_film)} films, {with_one_set} with one set of results")
    assert {uid for uid, results in by_film.items() if results == ONE_SET} == chest
    assert [results for uid, results in by_film.items() if uid not in chest] == [
        Counter(),
        Counter(),
    ]
    assert not any((node.folder / "films").iterdir())
    assert not any((node.folder / "results").iterdir())
    assert node.stop() == 0

    for path in (real[0], real[1]):  # no preamble, MONOCHROME1; JPEG 2000
        compare(by_dicomweb(orthanc, pydicom.dcmread(path, force=True)), path, tmp_path / path.stem)


def compare(results: dict[str, Dataset], film: Path, out: Path) -> None:
    """Compare the results in the archive with those of `pleura segment` for the same file."""
    command = [sys.executable, "-m", "pleura", "segment", str(film), "-o", str(out)]
    subprocess.run([*command, "--format", "labels", "--threads", "1", "-q"], check=True)
    labels = np.asarray(Image.open(next(out.glob("*_labels.png"))))
    frames = np.atleast_3d(results["SEG"].pixel_array.T).T
    for segment, frame in enumerate(frames, 1):
        # A label map has one label a pixel, and a lung hides the heart.
        visible = (frame != 0) & ~np.isin(labels, (1, 2)) if segment == 3 else frame != 0
        assert np.array_equal(visible, labels == segment)
    assert labels.any()
    source = pydicom.dcmread(film, force=True)
    for dataset in results.values():
        assert dataset.StudyInstanceUID == source.StudyInstanceUID
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
        assert dataset.PatientID == (source.get("PatientID") or "")
    picture = results["OT"]
    assert (picture.Columns, picture.SamplesPerPixel) == (source.Columns, 3)
    assert source.Rows < picture.Rows < 2 * source.Rows  # with a legend below the film
    with next(out.glob("results.csv")).open(newline="") as table:
        row = next(csv.DictReader(table))
    numbers = {float(e.value) for e in results["SR"].iterall() if e.tag == 0x0040A30A}
    assert {float(row["right_area_px"]), float(row["left_area_px"])} <= numbers


def test_results_go_to_a_dicomweb_service(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
) -> None:
    port = tools.free_port()
    orthanc = start_orthanc(pleura_port=port)
    options = ["--to", orthanc.web, "--format", "dicom-seg"]
    node = start_node("--from", "ORTHANC", *options, port=port)
    film, hand = small_films(2)
    hand.BodyPartExamined = "HAND"
    assert tools.send(orthanc.dicom_port, film, hand) == [0, 0]
    for entry in orthanc.instances():  # Orthanc takes the warning about the hand as a success
        sent = orthanc.rest.post("/modalities/pleura/store", content=entry["ID"])
        assert sent.json()["FailedInstancesCount"] == 0
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert node.status().counts == {"not_films": 1}
    assert tools.results_in(orthanc) == {
        film.SOPInstanceUID: Counter({"SEG": 1}),
        hand.SOPInstanceUID: Counter(),
    }


def test_results_of_pleura_are_not_segmented(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
) -> None:
    port = tools.free_port()
    send_all = "function OnStoredInstance(i, t, m, o) SendToModality(i, 'pleura') end"
    orthanc = start_orthanc(pleura_port=port, lua=send_all)
    address = f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"
    node = start_node("--from", "ORTHANC", "--to", address, "-f", "dicom-sc", port=port)
    film = small_films(1)[0]
    assert tools.send(orthanc.dicom_port, film) == [0]
    tools.until(lambda: node.status().counts.get("not_films"), "the overlay comes back")
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert sum(node.status().films.values()) == 1
    assert tools.results_in(orthanc) == {film.SOPInstanceUID: Counter({"OT": 1})}


def test_the_command_of_the_how_to_page_sends_results(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    tiny_weights: Path,
    start_orthanc: Callable[..., Any],
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    orthanc, film = start_orthanc(), tmp_path / "film.dcm"
    small_films(1)[0].save_as(film)
    formats = ["--format", "dicom-seg,dicom-sr,dicom-sc"]
    run("segment", film, "-o", tmp_path / "lungs", "--weights", tiny_weights, *formats)
    page = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "dicom.md"
    (line,) = [text for text in page.read_text().splitlines() if text.startswith("storescu ")]
    assert "ARCHIVE archive.example 104" in line
    command = line.replace("ARCHIVE archive.example 104", f"ORTHANC 127.0.0.1 {orthanc.dicom_port}")
    subprocess.run(command.split(), check=True, cwd=tmp_path)
    assert len(orthanc.instances()) == 3


def pull(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pleura", "dicomweb", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_films_are_pulled_and_pushed_back(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    tiny_weights: Path,
    start_orthanc: Callable[..., Any],
) -> None:
    orthanc = start_orthanc()
    first, second, third = small_films(3)
    third.StudyDate, second.Modality, second.ViewPosition = "20250101", "CR", "LL"
    assert tools.send(orthanc.dicom_port, first, second, third) == [0, 0, 0]
    options = [orthanc.web, "--weights", str(tiny_weights), "--json"]

    done = pull(*options, "--since", "2026-01-01")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert sorted(line["status"] for line in lines) == ["done", "no film"]
    one_of_two = {uid: +n for uid, n in tools.results_in(orthanc).items()}
    assert one_of_two == {
        first.SOPInstanceUID: ONE_SET,
        second.SOPInstanceUID: Counter(),
        third.SOPInstanceUID: Counter(),
    }
    again = pull(*options, "--study", first.StudyInstanceUID, "--uids")
    line = json.loads(again.stdout)
    assert (line["status"], line["uid"]) == ("there", first.SOPInstanceUID)
    assert tools.results_in(orthanc) == one_of_two
    assert "1.2.826" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["http://127.0.0.1:1/dicom-web"], "--study UID or --since DATE"),
        (["http://127.0.0.1:1", "--since", "yesterday"], "'yesterday' is no date"),
        (["http://127.0.0.1:1", "--since", "2026-13-45"], "'2026-13-45' is no date"),
        (["http://127.0.0.1:1", "--study", "1.2/../x"], "is no UID"),
        (["http://127.0.0.1:1", "--until", "2026-01-01"], "--study UID or --since DATE"),
        (
            ["http://127.0.0.1:1", "--study", "1.2", "--until", "2026-01-01"],
            "--until needs --since",
        ),
        (
            ["http://127.0.0.1:1", "--since", "2026-01-02", "--until", "2026-01-01"],
            "--until 2026-01-01 lies before --since 2026-01-02",
        ),
        (["PACS@host:104", "--since", "2026-01-01"], "is no DICOMweb service"),
        (["http://me:secret@host", "--since", "2026-01-01"], "PLEURA_DICOMWEB_AUTH"),
    ],
)
def test_wrong_arguments_are_refused(
    run: Callable[..., Any], arguments: list[str], message: str
) -> None:
    ended = run("dicomweb", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_a_service_that_does_not_answer_is_an_error(
    run: Callable[..., Any], tiny_weights: Path
) -> None:
    ended = run(
        *("dicomweb", "http://127.0.0.1:1/dicom-web", "--since", "2026-01-01"),
        *("--weights", tiny_weights, "--retry", 0),
    )
    assert ended.code == 1
    assert "no connection" in ended.err
