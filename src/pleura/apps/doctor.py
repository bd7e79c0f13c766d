"""`pleura doctor`: is everything here, and what to do if not."""

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
    """One thing looked at."""

    name: str
    good: bool
    found: str
    remedy: str | None = None
    """What to do about it; None if it is good."""

    essential: bool = True
    """Without it no film can be segmented."""


def doctor(
    as_json: AsJson = False,
) -> None:
    """Check the installation: each part, and what to do about one that is missing.

    pleura doctor

    Exit code 1 if something is broken that segmenting needs.
    """
    broken = False
    for look in CHECKS:
        for check in look():
            broken |= check.essential and not check.good
            typer.echo(json.dumps(asdict(check)) if as_json else _line(check))
    if broken:
        raise typer.Exit(Exit.UNEXPECTED)


def _line(check: Check) -> str:
    mark = "ok      " if check.good else "BROKEN  " if check.essential else "missing "
    remedy = f"\n{'':10}-> {check.remedy}" if check.remedy else ""
    return f"{mark}  {check.name}: {check.found}{remedy}"


def weights() -> Iterator[Check]:
    """The shipped weights are those that were shipped."""
    try:
        engine = open_engine()
    except PleuraError as error:
        yield Check("weights", False, str(error), "pip install --force-reinstall pleura")
    except ImportError as error:
        remedy = "pip install --force-reinstall openvino"
        yield Check("weights", False, f"OpenVINO does not load: {error}", remedy)
    else:
        found = f"{engine.card.name}, sha256 {engine.weights_sha256[:12]}, {engine.name}"
        yield Check("weights", True, found)


def engine() -> Iterator[Check]:
    """A drawn film, whose lungs are known, comes out right."""
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
        f"a drawn film's lungs are {share:.0%} of their true area",
        None if good else f"expected {low:.0%} to {high:.0%}: pip install --force-reinstall pleura",
    )


PHANTOM_SHARE = (0.85, 1.15)
"""Area found over the true one, on the drawn film; outside, the arithmetic is broken."""


def writing() -> Iterator[Check]:
    """Results can be written here."""
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
    """What the engine compiles can be kept for the next start."""
    folder = cache_folder()
    remedy = "all works, but each start is slower; set XDG_CACHE_HOME to a folder you may write to"
    if folder is None:
        found = "nowhere to keep compiled graphs: this user has no home folder"
        yield Check("cache", False, found, remedy, False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"pleura")
    except OSError as error:
        found = f"cannot keep compiled graphs in {folder}: {error.strerror}"
        yield Check("cache", False, found, remedy, False)
    else:
        yield Check("cache", True, f"compiled graphs are kept in {folder}", essential=False)


def cpus() -> Iterator[Check]:
    """How many threads the engine takes."""
    from pleura.runtime.threads import usable_cpus

    usable, machine = usable_cpus(), os.cpu_count() or 1
    limited = "" if usable == machine else " (affinity or container quota)"
    yield Check("cpus", True, f"{usable} of {machine} usable{limited}", essential=False)


def dicom() -> Iterator[Check]:
    """The ways in which DICOM compresses films."""
    from pleura.io.dicom.decode.codecs import decoders

    known = list(decoders())
    missing = [each for each in known if not each.available]
    readable = f"{len(known) - len(missing)} of {len(known)} kinds of compression can be read"
    lacking = f"; not {', '.join(each.name for each in missing)}" if missing else ""
    packages = " ".join(sorted({each.package for each in missing}))
    remedy = f"pip install {packages}" if missing else None
    yield Check("DICOM", not missing, readable + lacking, remedy, essential=False)


def training() -> Iterator[Check]:
    """The learn side, if it is wanted."""
    packages = extras().get("train", ())
    missing = [name for name in packages if installed_version(name) is None]
    if missing:
        found = f"not here: {', '.join(missing)}"
        remedy = 'only to train or evaluate: pip install "pleura[train]"'
        yield Check("extra train", False, found, remedy, essential=False)
    else:
        torch = installed_version("torch")
        yield Check(
            "extra train", True, f"torch {torch}, {len(packages)} packages", essential=False
        )


def torchvision() -> Iterator[Check]:
    """A torchvision of another torch breaks Lightning at import; none is best."""
    vision, torch = installed_version("torchvision"), installed_version("torch")
    if vision is None:
        return
    wanted = required_by("torchvision", "torch")
    fits = torch is not None and wanted == f"=={torch.partition('+')[0]}"
    found = f"torchvision {vision} wants torch{wanted or ''}, here is {torch or 'none'}"
    remedy = "pip uninstall torchvision (pleura does not use it)"
    yield Check("torchvision", fits, found, None if fits else remedy, essential=False)


def python() -> Iterator[Check]:
    """Which Python this is."""
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
