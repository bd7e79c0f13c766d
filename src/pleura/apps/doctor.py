"""The command `pleura doctor`: check the installation, and advise on faults."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from pleura.apps.cli.engines import cache_folder, open_engine
from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.extras import extras, installed_version, required_by
from pleura.apps.cli.options import AsJson
from pleura.core.errors import PleuraError

__all__ = ["CHECKS", "Check", "doctor"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    good: bool
    found: str
    """The state that was found; a key of `--json`."""
    remedy: str | None = None
    """The advice; None if the check is good."""

    essential: bool = True
    """Whether segmentation needs it."""


def doctor(
    as_json: AsJson = False,
) -> None:
    """Check each part of the installation, and advise on missing parts.

    pleura doctor

    Exit code 1 if something is broken that segmenting needs.
    """
    broken = False
    for run_checks in CHECKS:
        for check in run_checks():
            broken |= check.essential and not check.good
            typer.echo(json.dumps(asdict(check)) if as_json else _line(check))
    if broken:
        raise typer.Exit(Exit.UNEXPECTED)


def _line(check: Check) -> str:
    mark = "ok      " if check.good else "BROKEN  " if check.essential else "missing "
    remedy = f"\n{'':10}-> {check.remedy}" if check.remedy else ""
    return f"{mark}  {check.name}: {check.found}{remedy}"


def weights() -> Iterator[Check]:
    """Whether the shipped weights are unchanged and can be opened."""
    try:
        engine = open_engine()
    except PleuraError as error:
        yield Check("weights", False, str(error), "pip install --force-reinstall pleura")
    except ImportError as error:
        remedy = "pip install --force-reinstall openvino"
        yield Check("weights", False, f"OpenVINO does not load: {error}", remedy)
    else:
        finding = f"{engine.card.name}, sha256 {engine.weights_sha256[:12]}, {engine.name}"
        yield Check("weights", True, finding)


def engine() -> Iterator[Check]:
    """Whether the lungs of a synthetic film are segmented with about the right area."""
    from pleura.phantom.film import draw
    from pleura.runtime.segmenter import Segmenter

    try:
        segmenter = Segmenter(open_engine())
    except (PleuraError, ImportError):
        yield Check("engine", False, "not tried: there are no weights to run", "see weights")
        return
    film = draw(512, 448)
    area = segmenter(film.radiograph).measurements.lungs_area_px
    share = area / max(1, int((film.right | film.left).sum()))
    low, high = PHANTOM_SHARE
    good = low < share < high
    yield Check(
        "engine",
        good,
        f"a synthetic film's lungs are {share:.0%} of their true area",
        None if good else f"expected {low:.0%} to {high:.0%}: pip install --force-reinstall pleura",
    )


PHANTOM_SHARE = (0.85, 1.15)
"""The bounds of predicted area over exact area on the synthetic film."""


def writing() -> Iterator[Check]:
    """Whether results can be written here."""
    for name, folder in (("here", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"pleura")
        except OSError as error:
            remedy = "work in a folder you may write to, or give segment one with --out"
            yield Check(f"write {name}", False, f"{folder}: {error.strerror}", remedy, False)
        else:
            yield Check(f"write {name}", True, str(folder), essential=False)


def kept_graphs() -> Iterator[Check]:
    """Whether compiled graphs can be kept for the next start."""
    folder = cache_folder()
    remedy = "all works, but each start is slower; set XDG_CACHE_HOME to a folder you may write to"
    if folder is None:
        finding = "nowhere to keep compiled graphs: this user has no home folder"
        yield Check("cache", False, finding, remedy, False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"pleura")
    except OSError as error:
        finding = f"cannot keep compiled graphs in {folder}: {error.strerror}"
        yield Check("cache", False, finding, remedy, False)
    else:
        yield Check("cache", True, f"compiled graphs are kept in {folder}", essential=False)


def cpus() -> Iterator[Check]:
    """The CPUs that the engine can use."""
    from pleura.runtime.threads import usable_cpus

    usable, machine = usable_cpus(), os.cpu_count() or 1
    limited = "" if usable == machine else " (affinity or container quota)"
    yield Check("cpus", True, f"{usable} of {machine} usable{limited}", essential=False)


def dicom() -> Iterator[Check]:
    """Whether all compressions of DICOM can be decoded."""
    from pleura.io.dicom.decode.codecs import decoders

    known = list(decoders())
    missing = [decoder for decoder in known if not decoder.available]
    readable = f"{len(known) - len(missing)} of {len(known)} kinds of compression can be read"
    unreadable = f"; not {', '.join(decoder.name for decoder in missing)}" if missing else ""
    packages = " ".join(sorted({decoder.package for decoder in missing}))
    remedy = f"pip install {packages}" if missing else None
    yield Check("DICOM", not missing, readable + unreadable, remedy, essential=False)


def training() -> Iterator[Check]:
    """Whether the packages for training are installed."""
    packages = extras().get("train", ())
    missing = [name for name in packages if installed_version(name) is None]
    if missing:
        finding = f"not installed: {', '.join(missing)}"
        remedy = 'only to train or evaluate: pip install "pleura[train]"'
        yield Check("extra train", False, finding, remedy, essential=False)
    else:
        torch = installed_version("torch")
        yield Check(
            "extra train", True, f"torch {torch}, {len(packages)} packages", essential=False
        )


def torchvision() -> Iterator[Check]:
    """Whether torchvision, if installed, fits torch; otherwise importing Lightning fails."""
    vision, torch = installed_version("torchvision"), installed_version("torch")
    if vision is None:
        return
    required = required_by("torchvision", "torch")
    fits = torch is not None and required == f"=={torch.partition('+')[0]}"
    finding = f"torchvision {vision} needs torch{required or ''}, installed is {torch or 'none'}"
    remedy = "pip uninstall torchvision (pleura does not use it)"
    yield Check("torchvision", fits, finding, None if fits else remedy, essential=False)


def python() -> Iterator[Check]:
    """The Python version and environment."""
    kind = "virtual environment" if sys.prefix != sys.base_prefix else "not a virtual environment"
    yield Check("python", True, f"{sys.version.split()[0]}, {kind}, {sys.executable}")


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    python,
    cpus,
    writing,
    kept_graphs,
    weights,
    engine,
    dicom,
    training,
    torchvision,
)
