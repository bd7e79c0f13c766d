"""Compares the areas of a DICOM Segmentation as cornerstone reads it with those of Pleura.

    python -m benchmarks.viewers film.dcm

Node and npm are needed. npm installs `@cornerstonejs/adapters`, with which OHIF reads
Segmentations, in three versions. Its two large peers are replaced by modules without function: the
reader asks them for one comparison of numbers alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pleura
from pleura.io.dicom.results import dicom_bytes, dicom_results

VERSIONS = {
    "2.19.16": (),
    "3.33.5": (),
    "5.14.0": ("@babel/runtime", "@cornerstonejs/metadata@5.14.0"),
}
"""Versions of the adapters, and what npm does not install with them."""

FORMATS = ("dicom-seg", "dicom-seg-labelmap")
PEERS = ("core", "tools")
PEER = """\
const isEqual = (a, b, tolerance = 1e-5) =>
  a.length === b.length && a.every((value, i) => Math.abs(value - b[i]) <= tolerance);
const nothing = () => new Proxy(function () {}, { get: () => nothing(), apply: () => nothing() });
export const utilities = new Proxy({ isEqual }, { get: (own, key) => own[key] ?? nothing() });
export const Enums = nothing(), metaData = nothing(), imageLoader = nothing(), cache = nothing();
export const eventTarget = nothing(), triggerEvent = nothing(), volumeLoader = nothing();
"""


def install(version: str, folder: Path) -> None:
    """Install a version of the adapters into `folder`, with the replaced peers."""
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module"}')
    packages = [f"@cornerstonejs/adapters@{version}", *VERSIONS[version]]
    options = ["--no-audit", "--no-fund", "--legacy-peer-deps", "--ignore-scripts", "--silent"]
    subprocess.run(["npm", "install", *options, *packages], cwd=folder, check=True)
    for name in PEERS:
        peer = folder / "node_modules" / "@cornerstonejs" / name
        peer.mkdir(parents=True, exist_ok=True)
        (peer / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
        (peer / "index.js").write_text(PEER)
    shutil.copy(Path(__file__).with_name("read_seg.js"), folder)


def read(folder: Path, film: Path, seg: Path) -> dict[str, int] | str:
    """The pixels of each segment as the adapters read them, or their error."""
    command = ["node", "read_seg.js", str(film.resolve()), str(seg)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        errors = [line.strip() for line in done.stderr.splitlines() if "Error: " in line]
        return errors[0] if errors else done.stderr.strip()[-200:]
    areas: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return areas


def main(film: Path) -> None:
    """Print a row for each version and format, and end with 1 unless every `dicom-seg` agrees."""
    result: Any = pleura.segment(film)
    masks = (result.right, result.left, result.heart)
    expected = {str(number): int(mask.sum()) for number, mask in enumerate(masks, 1)}
    objects = dicom_results(film, result, FORMATS)
    all_agree = True
    with TemporaryDirectory() as folder:
        for version in VERSIONS:
            place = Path(folder) / version
            install(version, place)
            for name, dataset in zip(FORMATS, objects, strict=True):
                seg = place / f"{name}.dcm"
                seg.write_bytes(dicom_bytes(dataset))
                areas = read(place, film, seg)
                outcome = "the same areas" if areas == expected else f"differs: {areas}"
                print(f"adapters {version}  {name:20} {outcome}", flush=True)
                all_agree &= name != "dicom-seg" or areas == expected
    sys.exit(0 if all_agree else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.viewers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("film", type=Path, help="a DICOM film")
    main(parser.parse_args().film)
