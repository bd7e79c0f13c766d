"""Fixtures: a real Orthanc and a real node, each in its own process, and DICOM films."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from benchmarks.faults.archive import referenced_in
from benchmarks.faults.site import FAULTY_NODE, Node, free_port, make_film, send, until
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, _config, build_context

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
HOW_TO = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "pacs-node.md"
ROUTE = re.search(r"^function OnStoredInstance.*?^end$", HOW_TO.read_text(), re.M | re.S)[0]  # type: ignore[index]
"""The routing rule of the how-to page."""


class Orthanc:
    """An Orthanc with DICOMweb, whose routing rule sends films to the modality `pleura`."""

    def __init__(self, folder: Path, *, pleura_port: int, lua: str = "") -> None:
        self.dicom_port, self.http_port = free_port(), free_port()
        self.folder, self._process = folder, None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "route.lua").write_text(lua)
        config = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "TemporaryDirectory": str(folder),
            "Plugins": [str(PLUGIN)],
            "LuaScripts": [str(folder / "route.lua")] if lua else [],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomModalities": {"pleura": ["PLEURA", "127.0.0.1", pleura_port]},
            "ConcurrentJobs": 2,
            "StableAge": 1,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.web = f"http://127.0.0.1:{self.http_port}/dicom-web"
        self.rest = httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", timeout=30)

    @property
    def node_options(self) -> tuple[str, ...]:
        """Options of a node that takes its films, and sends their results to it."""
        return ("--from", "ORTHANC", "--to", f"ORTHANC@127.0.0.1:{self.dicom_port}")

    def start(self) -> None:
        program = shutil.which("Orthanc", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        assert program, "Orthanc is not here; on Debian: apt-get install orthanc orthanc-dicomweb"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self.folder / "orthanc.json")], stdout=log, stderr=log
            )
        until(self.answers, "Orthanc answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def answers(self) -> bool:
        try:
            return self.rest.get("/system").is_success
        except httpx.TransportError:
            return False

    def instances(self, modality: str | None = None) -> list[dict[str, Any]]:
        """The main tags of all stored instances, or of those of one modality."""
        instances = self.rest.get("/instances", params={"expand": ""}).json()
        tags = [instance["MainDicomTags"] | {"ID": instance["ID"]} for instance in instances]
        if modality is None:
            return tags
        return [entry for entry in tags if self.tag(entry["ID"], "Modality") == modality]

    def tag(self, instance: str, name: str) -> str:
        return str(self.rest.get(f"/instances/{instance}/simplified-tags").json().get(name, ""))


SYNTAX_OPTIONS = {
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
"""The options of dcmtk's storescu to send a film without transcoding."""


def storescu(port: int, film: Path, *, called: str = "ORTHANC") -> bool:
    """Send a film in its own transfer syntax, as an X-ray machine does; whether it was stored."""
    meta = pydicom.dcmread(film, force=True, stop_before_pixels=True).file_meta
    option = SYNTAX_OPTIONS.get(str(meta.get("TransferSyntaxUID")), "-xe")
    command = ["storescu", "-v", option, "-aet", "ORTHANC", "-aec", called, "127.0.0.1", str(port)]
    done = subprocess.run([*command, str(film)], capture_output=True, text=True)
    return "Received Store Response (Success)" in done.stdout + done.stderr


def send_raw(port: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """C-STORE the bytes of a file without reading them."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    context = build_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = AE("ORTHANC").associate("127.0.0.1", port, [context], ae_title="PLEURA")
    assert association.is_established
    status = association.send_c_store(path).get("Status")
    association.release()
    return status


def results_in(orthanc: Orthanc) -> dict[str, Counter[str]]:
    """For the UID of each film in Orthanc: the number of results that refer to it, by modality.

    A result refers to a film by a ReferencedSOPInstanceUID at any place.
    """
    films = {entry["SOPInstanceUID"]: Counter[str]() for entry in orthanc.instances()}
    results = {}
    for entry in orthanc.instances():
        content = orthanc.rest.get(f"/instances/{entry['ID']}/file").content
        dataset = pydicom.dcmread(BytesIO(content))
        if dataset.get("ManufacturerModelName") == "Pleura":
            results[entry["SOPInstanceUID"]] = dataset
    for uid, result in results.items():
        del films[uid]
        for film in referenced_in(result) & set(films):
            films[film][result.Modality] += 1
    return films


@pytest.fixture(scope="session")
def small_films(films_root: Path) -> Callable[[int], list[FileDataset]]:
    """`small_films(n)` makes n films of 160 x 160 pixels from three real ones, with new UIDs."""
    real = sorted((films_root / "dicom").glob("nih_*.dcm"))[:3]
    assert len(real) == 3
    shrunk = []
    for path in real:
        image = Image.fromarray(pydicom.dcmread(path).pixel_array).resize((160, 160))
        shrunk.append(np.asarray(image, np.uint16) * 16)
    return lambda number: [make_film(shrunk[index % 3], index) for index in range(number)]


@pytest.fixture
def start_node(tmp_path: Path, tiny_weights: Path) -> Iterator[Callable[..., Node]]:
    """`start_node(*arguments, name=..., port=...)` starts a node (tiny network by default)."""
    nodes: list[Node] = []

    def begin(
        *arguments: str, name: str = "node", port: int | None = None, faulty: Sequence[str] = ()
    ) -> Node:
        options = [] if "--weights" in arguments else ["--weights", str(tiny_weights)]
        if "--shipped" in arguments:
            options, arguments = [], tuple(option for option in arguments if option != "--shipped")
        program = (str(FAULTY_NODE), *faulty, "--") if faulty else ("-m", "pleura")
        node = Node(
            tmp_path / name, [*options, *arguments], log=tmp_path / "node.log", program=program
        )
        if port is not None:
            position = node._arguments.index("--port") + 1
            node.port, node._arguments[position] = port, str(port)
        nodes.append(node)
        node.start()
        return node

    yield begin
    for node in nodes:
        if node.process and node.process.poll() is None:
            node.kill()


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[Callable[..., Orthanc]]:
    """`start_orthanc(pleura_port=..., lua=...)` starts an Orthanc."""
    with ExitStack() as running:

        def begin(*, pleura_port: int = 1, lua: str = "") -> Orthanc:
            orthanc = Orthanc(tmp_path / "orthanc", pleura_port=pleura_port, lua=lua)
            running.callback(orthanc.rest.close)
            running.callback(orthanc.stop)
            orthanc.start()
            return orthanc

        yield begin


@pytest.fixture
def orthanc(start_orthanc: Callable[..., Orthanc]) -> Orthanc:
    """A running Orthanc that sends nothing by itself."""
    return start_orthanc()


@pytest.fixture
def print_line(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is shown also if the test passes."""

    def show(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return show


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """Helper functions for the tests, which cannot import a conftest."""
    return SimpleNamespace(
        free_port=free_port,
        make_film=make_film,
        results_in=results_in,
        route=ROUTE,
        files_with_the_name=files_with_the_name,
        send=send,
        send_raw=send_raw,
        storescu=storescu,
        two_greys=two_greys,
        until=until,
    )


def two_greys(film: FileDataset) -> FileDataset:
    """The film's outline in two grey values, which only decoding shows to be no film."""
    half = film.pixel_array > np.median(film.pixel_array)
    film.PixelData = (half * 1000).astype("<u2").tobytes()
    return film


def files_with_the_name(folder: Path) -> list[str]:
    """Those of a node's files and its log that hold the patient's name; films may hold it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    files.append(folder.parent / "node.log")
    names = re.compile(rb"Zimmermann|Quirin")
    return [path.name for path in files if names.search(path.read_bytes())]
