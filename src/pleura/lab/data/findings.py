"""The findings of `check` about a data set, and its report.

An error makes scores or weights wrong: a film that cannot be read, a mask without a film, the same
film in training and test. A warning is something to check, which a correct data set may have too:
films without a mask, or a mask of five pieces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from pleura.io.annotations.read import ANNOTATION_SUFFIXES, read_annotations
from pleura.lab.data.film import Film
from pleura.lab.data.layouts.files import belongs_to
from pleura.lab.data.patients import PATTERNS

__all__ = [
    "ERRORS",
    "WARNINGS",
    "CheckReport",
    "Finding",
    "summarise",
    "unlisted_pictures",
    "unused_annotations",
]

Level: TypeAlias = Literal["error", "warning"]

ERRORS = MappingProxyType(
    {
        "unreadable-film": "the file is no image that can be read",
        "unreadable-mask": "a mask is missing, damaged, or of another size than the others",
        "empty-mask": "no pixel of the mask is labelled",
        "full-mask": "(nearly) every pixel of the mask is labelled: is the background a value too?",
        "inverted-mask": "the mask marks the background: its edges are labelled all around",
        "several-values": "the mask of one structure has several values: are there several "
        "structures? State the channel of each in labels.json, or in `labels` of a manifest",
        "implausible-area": "the lungs cover too little or too much of the film",
        "misplaced-mask": "the mask fits its film better mirrored, turned or shifted",
        "mask-of-another-film": "another film's mask fits better: were masks exchanged?",
        "shared-mask": "films that look different have the same mask, pixel by pixel: whose is it?",
        "unrelated-mask": "the border of this mask, as of most masks of its source, follows no "
        "border of the film: were they drawn at another size, or on other films?",
        "blurred-mask": "the edges of the mask have many grey values, and all of them count as "
        "lung: save it with one value for each structure",
        "unread-mask": "a file of a format that is not read, for a film without another mask",
        "lossy-mask": "a JPEG mask: its blurred edges count as lung; save it as PNG",
        "contradicts-weights": "the mask has little in common with that of the shipped weights",
        "set-contradicts-weights": "the masks differ from those of the shipped weights as a whole: "
        "are they of other films, turned, or of another structure?",
        "bright-ground": "the palette shows 0, which means no lung, as bright: is it inverted?",
        "other-aspect": "film and mask differ in aspect: the mask was made for another picture",
        "no-mask": "no film of the set has a mask; do their names or columns fit a layout?",
        "unused-label": "no mask holds the value, colour or name that labels this structure",
        "sides-swapped": "the right lung lies on the viewer's right: mirrored film or labels?",
        "half-labelled": "one lung has a mask, the other has none",
        "mask-without-film": "no film belongs to this mask; has one of the two a wrong name?",
        "duplicate-across-splits": "the same bytes in two parts of the split",
        "patient-across-splits": "films of one patient in two parts of the split",
    }
)
"""Kind -> meaning."""

WARNINGS = MappingProxyType(
    {
        "film-without-mask": "not used for training or scoring",
        "mask-not-used": "another mask of a film that has one, or of another kind",
        "undeclared-values": "the mask has values that are not declared",
        "turned-film": "film and mask have different EXIF orientations",
        "film-not-listed": "a picture beside the films that the data set does not list",
        "other-size": "film and mask have the same aspect but not the same size",
        "empty-structure": "one structure has no pixel while others have",
        "many-pieces": "more pieces than lungs, and not just specks",
        "specks": "a few stray pixels beside the lungs",
        "one-piece": "both lungs in one piece, or one lung only",
        "differs-from-weights": "the mask differs from that of the shipped weights: look at it",
        "negative-film": "the lungs are brighter than their surroundings: a negative film?",
        "shared-prefix": "no patient is stated, and films share the beginning of their names: are "
        f"they of one patient? Say in a manifest, or with --patient-pattern: {PATTERNS}",
        "one-patient": "most films state the same patient: was the PatientID replaced? Name the "
        "patients in a manifest, or with --patient-pattern",
        "loose-border": "the border of the mask follows no border of the film",
        "duplicate": "the same bytes twice",
        "near-duplicate-across-splits": "two parts of the split hold films that look the same",
    }
)
"""Kind -> meaning."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding."""

    kind: str
    """A key of `ERRORS` or `WARNINGS`."""

    where: str
    """The film's id, or a path if there is no film."""

    detail: str = ""
    accepted: bool = False
    """Whether someone looked at errors of this kind and accepted them."""

    @property
    def level(self) -> Level:
        """`error` or `warning`; an accepted error is a warning."""
        return "error" if self.kind in ERRORS and not self.accepted else "warning"

    @property
    def meaning(self) -> str:
        """The meaning of this kind of finding."""
        return {**ERRORS, **WARNINGS}[self.kind]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a data set contains, and the findings about it."""

    films: int
    pairs: int
    """Films with a mask."""

    patients: int
    """Films whose patient is not stated count as one patient each."""

    unknown_patients: int
    """Films whose patient is not stated."""

    counts: dict[str, dict[str, int]]
    """Source -> part of the split (`none`; `unlabelled`: no mask) -> number of films."""

    conditions: dict[str, int]
    channels: dict[str, int]
    """Channel -> number of films that label it."""

    sizes: dict[str, int]
    """`width x height` in px -> number of films, the most frequent first."""

    findings: tuple[Finding, ...]
    """Errors first, then by kind and place."""

    median_dice: dict[str, float] = field(default_factory=dict)
    """Source -> median Dice of its masks with those of the weights; empty if not compared."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that must be corrected."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings to look at."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    @property
    def passed(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def extended(self, findings: Iterable[Finding], median_dice: dict[str, float]) -> CheckReport:
        """The report with more findings, and the agreement with weights."""
        merged = _ordered((*self.findings, *findings))
        return replace(self, findings=merged, median_dice=median_dice)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        table = asdict(self)
        table["findings"] = [
            {"level": finding.level, **asdict(finding)} for finding in self.findings
        ]
        table["errors"], table["warnings"] = len(self.errors), len(self.warnings)
        return table


def summarise(
    films: Sequence[Film],
    sizes: Iterable[tuple[int, int] | None],
    findings: Iterable[Finding],
) -> CheckReport:
    """The report on `films`; `sizes` are their (H, W), None for unreadable ones."""
    counts: dict[str, Counter[str]] = {}
    for film in films:
        part = film.split or "none" if film.channels else "unlabelled"
        counts.setdefault(film.source, Counter())[part] += 1
    known = Counter(f"{size[1]} x {size[0]}" for size in sizes if size)
    return CheckReport(
        films=len(films),
        pairs=sum(bool(film.channels) for film in films),
        patients=len({(film.source, film.patient or film.id) for film in films}),
        unknown_patients=sum(not film.patient for film in films),
        counts={source: dict(counts[source]) for source in sorted(counts)},
        conditions=dict(Counter(film.condition or "unknown" for film in films).most_common()),
        channels=dict(Counter(name for film in films for name in sorted(film.channels))),
        sizes=dict(known.most_common()),
        findings=_ordered(findings),
    )


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.level, finding.kind, finding.where)))


def unlisted_pictures(films: Sequence[Film], paths: Iterable[Path]) -> list[Finding]:
    """Findings about pictures in the folders of films and masks that belong to no listed film."""
    used = {film.image.absolute() for film in films}
    masks = {part.path.absolute() for film in films for part in film.masks}
    mask_folders = {path.parent for path in masks} - {path.parent for path in used}
    stems = {film.id for film in films} | {film.image.stem for film in films}

    def kind(path: Path) -> str:
        if path.parent not in mask_folders and path.suffix.lower() not in ANNOTATION_SUFFIXES:
            return "film-not-listed"
        return "mask-not-used" if belongs_to(path, stems) else "mask-without-film"

    return [Finding(kind(path), str(path)) for path in paths if path.absolute() not in used | masks]


def unused_annotations(films: Sequence[Film]) -> Iterator[Finding]:
    """Findings about annotated films in the files that are used, which belong to no listed film."""
    used: dict[Path, set[str]] = {}
    for part in (part for film in films for part in film.masks if part.film):
        used.setdefault(part.path, set()).add(part.film)
    for path, names in used.items():
        for annotated in read_annotations(path) or ():
            if annotated.shapes and annotated.name not in names:
                yield Finding("mask-without-film", str(path), annotated.name)
