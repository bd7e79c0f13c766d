"""The verdict of a film in the log, the status and the results of a node."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

RESULTS_OF_REFUSED = {"marked": Counter({"SEG": 1, "SR": 1, "OT": 1}), "report": Counter({"SR": 1})}


def series_in(orthanc: Any) -> list[str]:
    """The descriptions of the series that Pleura made."""
    names = (orthanc.tag(entry["ID"], "SeriesDescription") for entry in orthanc.instances())
    return sorted(name for name in names if name.startswith("Pleura: "))


@pytest.mark.parametrize("choice", RESULTS_OF_REFUSED)
def test_the_results_of_a_refused_film_follow_the_option(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    start_node: Callable[..., Any],
    blind_weights: Path,
    run: Callable[..., Any],
    choice: str,
) -> None:
    port = tools.free_port()
    orthanc = start_orthanc(pleura_port=port)
    to = f"ORTHANC@127.0.0.1:{orthanc.dicom_port}"
    options = ["--weights", str(blind_weights), "--from", "ORTHANC", "--to", to]
    node = start_node(*options, "--refused", choice, port=port)
    film = small_films(1)[0]
    assert tools.send(port, film) == [0]
    tools.until(lambda: node.has(delivered=1), "the results are delivered")
    assert node.status().verdicts == {"ok": 0, "review": 0, "refused": 1}
    assert node.status().counts == {}
    status = run("node", "status", "--folder", node.folder)
    assert "verdicts  0 ok, 0 review, 1 refused\n" in status.out
    number = sum(RESULTS_OF_REFUSED[choice].values())
    assert f"film 1 segmented, {number} results, refused (no_lungs)" in node.log()

    assert tools.send(orthanc.dicom_port, film) == [0]
    assert tools.results_in(orthanc) == {film.SOPInstanceUID: RESULTS_OF_REFUSED[choice]}
    assert all(name.endswith(" (REFUSED, do not use)") for name in series_in(orthanc))
    (sr,) = orthanc.instances("SR")
    content = orthanc.rest.get(f"/instances/{sr['ID']}/file").content
    report = dcmread(DicomBytesIO(content))
    codes = {str(e.value) for e in report.iterall() if e.keyword == "CodeValue"}
    assert {"verdict", "refused", "doubt", "no_lungs"} <= codes


def test_dicomweb_stores_the_same_results_once(
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    start_orthanc: Callable[..., Any],
    blind_weights: Path,
) -> None:
    orthanc = start_orthanc()
    film = small_films(1)[0]
    assert tools.send(orthanc.dicom_port, film) == [0]

    def pulled(*options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "pleura", "dicomweb", orthanc.web, "--json"]
        more = ["--weights", str(blind_weights), "--study", film.StudyInstanceUID, *options]
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        line: dict[str, Any] = json.loads(done.stdout)
        return line

    first = pulled("--refused", "report")
    assert (first["status"], first["verdict"]) == ("done", "refused (no_lungs)")
    assert tools.results_in(orthanc) == {film.SOPInstanceUID: RESULTS_OF_REFUSED["report"]}
    assert pulled("--refused", "report")["status"] == "there"
    assert pulled()["status"] == "done"  # all results are requested now
    assert pulled()["status"] == "there"
