"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from pleura.runtime.engine import Engine as OpenEngine
    from pleura.runtime.open import Choice

__all__ = [
    "AsJson",
    "BatchWorkers",
    "Device",
    "DicomFormats",
    "Engine",
    "EngineOptions",
    "EvaluationLungs",
    "Fast",
    "Films",
    "FilmsAsJson",
    "Flip",
    "Fold",
    "Layout",
    "Lungs",
    "LungsOption",
    "MostFilms",
    "NoBar",
    "Panel",
    "Precision",
    "RefusedOption",
    "RefusedResults",
    "Split",
    "Splits",
    "TestTimeAugmentation",
    "Threads",
    "Weights",
    "names_in",
    "port_option",
]


class Panel(StrEnum):
    """The panels of the help, each with a group of options."""

    COMPUTED = "How it is computed"
    SENT = "Where results go"
    WRITTEN = "What is written"
    PRINTED = "What is printed"
    RAY = "On Ray (extra scale)"
    FILMS = "Which films"
    REQUESTS = "How the service is asked"
    SENDERS = "Who may send"
    DISK = "Disk"
    MONITORING = "Monitoring"
    TLS = "TLS"
    ACCESS = "Access"
    LIMITS = "Limits"

    def option(self, *names: str, **settings: Any) -> Any:
        """An option in this panel: names and settings as for `typer.Option`."""
        return typer.Option(*names, rich_help_panel=self, **settings)


def port_option(text: str, panel: Panel) -> Any:
    """The option for the TCP port of a service, with its help text and its panel of the help."""
    return panel.option(min=0, max=65535, help=text)


class Lungs(StrEnum):
    """The definitions of lung, as options."""

    field = "field"
    whole = "whole"


class RefusedResults(StrEnum):
    """The results that are sent for a film whose verdict is `refused`, as options."""

    marked = "marked"
    report = "report"


LungsOption = Annotated[
    Lungs,
    Panel.COMPUTED.option(
        "--lungs",
        help="field is the lung field without the heart; whole includes the lung behind it.",
    ),
]
Flip = Annotated[
    bool,
    Panel.COMPUTED.option(
        "--flip",
        help="Mirror all films left to right before they are segmented: for films that are stored "
        "mirrored. The results lie on the films as stored, and right is the patient's right.",
    ),
]
TestTimeAugmentation = Annotated[
    bool,
    Panel.COMPUTED.option(
        "--tta",
        help="Test-time augmentation: average over four variants of each film (as it is, mirrored, "
        "shifted, smaller). Takes four times as long; the verdicts are not calibrated for it.",
    ),
]
EvaluationLungs = Annotated[
    Literal["field", "whole"] | None,
    Panel.COMPUTED.option(
        "--lungs",
        help="Predict this definition for all films; by default the one of each film's labels.",
    ),
]
Weights = Annotated[
    list[Path] | None,
    Panel.COMPUTED.option(
        "--weights",
        help="An .onnx file that `pleura export` wrote; by default the shipped one. Repeatable: "
        "the probability maps of several files are averaged.",
    ),
]
Engine = Annotated[
    str,
    Panel.COMPUTED.option(
        "--engine", help="The library: openvino, onnxruntime; auto is openvino on the cpu."
    ),
]
Device = Annotated[str, Panel.COMPUTED.option("--device", help="The device: cpu, cuda, coreml.")]
Precision = Annotated[
    str,
    Panel.COMPUTED.option(
        "--precision",
        help="int8, bf16 (openvino) or fp32; auto is int8 where this CPU is faster with it.",
    ),
]
Fast = Annotated[
    bool,
    Panel.COMPUTED.option("--fast", help="Take a smaller network: faster, a little less exact."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The weights, the engine, the device and the precision."""

    weights: Weights = None
    engine: Engine = "auto"
    device: Device = "cpu"
    precision: Precision = "auto"
    fast: Fast = False

    def choice(self, *, threads: int | None = None) -> Choice:
        """The choice of these options; `UsageError` where two do not go together."""
        from pleura.runtime.open import Choice

        return Choice(
            engine=self.engine,
            device=self.device,
            precision=self.precision,
            fast=self.fast,
            threads=threads,
        )

    def open(self) -> OpenEngine:
        """An engine of these options; raises what `open_engine` does."""
        from pleura.apps.cli.engines import open_engine

        return open_engine(*(self.weights or ()), choice=self.choice())


Threads = Annotated[
    int | None,
    Panel.COMPUTED.option(
        "--threads", min=1, help="CPUs for the network; by default all that this process may use."
    ),
]
BatchWorkers = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that prepare batches; 0 is none.")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
FilmsAsJson = Annotated[
    bool, Panel.PRINTED.option("--json", help="Print one JSON object a film on stdout.")
]

RefusedOption = Annotated[
    RefusedResults,
    Panel.SENT.option(
        "--refused",
        help="For a film with this verdict: all results, marked as refused, or the report alone.",
    ),
]
DicomFormats = Annotated[
    list[str] | None,
    Panel.SENT.option(
        "--format",
        "-f",
        help="dicom-seg, dicom-sr, dicom-sc (these three by default), or another DICOM format of "
        "`pleura segment`; repeatable, or with commas.",
    ),
]

Films = Annotated[
    list[Path], typer.Argument(help="Folders or manifests of films with masks.", metavar="DATA")
]
Sets = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Folders of films and masks, or manifests."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a file in --out that holds anything else.")
]
Split = Annotated[
    str, typer.Option("--split", help="The split to score: test, val, train, ... or all.")
]
Splits = Annotated[
    str | None,
    typer.Option(
        "--splits",
        metavar="FILE|NAME",
        help="A CSV with columns id and split, or the name of a published split (see "
        "the page on layouts); by default the data's own.",
    ),
]
Fold = Annotated[
    int | None,
    typer.Option(
        "--fold",
        min=1,
        help="Take this fold of --splits as split val, and the others as train; see "
        "`pleura data split --folds`.",
    ),
]
Layout = Annotated[
    str,
    typer.Option(
        "--layout",
        help="How the data is laid out on disk: auto, manifest, corrections, montgomery, "
        "shenzhen-montgomery, shenzhen, nnunet, folder, annotations or jsrt.",
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="KIND",
        help="Errors of this kind, such as misplaced-mask, are accepted: you looked at them. "
        "Repeatable.",
    ),
]
MostFilms = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help="Score at most this many films of a split, drawn at random."
    ),
]
NoBar = Annotated[bool, typer.Option("--no-progress", "-q", help="Show no progress bar.")]


def names_in(given: list[str] | None) -> list[str]:
    """The names of an option that may be repeated, or hold several with commas."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]
