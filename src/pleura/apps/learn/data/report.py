"""What `pleura data` prints: the report of a check, and the counts of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pleura.apps.cli.progress import console, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from pleura.lab.data.film import Film
    from pleura.lab.data.findings import CheckReport, Finding

__all__ = [
    "EXAMPLES",
    "print_report",
    "tally",
    "tally_table",
    "warn_of_empty_parts",
    "warn_of_prefixes",
]

EXAMPLES = 5
"""Findings of one kind that are listed unless all are asked for."""


def print_report(report: CheckReport, everything: bool) -> None:
    """Print what a data set contains, and the findings."""
    out = console(stderr=False)
    patients = f"{report.patients} patients"
    if report.unknown_patients:
        unknown = "not stated" if report.unknown_patients == report.films else "partly not stated"
        patients = f"patients {unknown}: such a film counts as a patient of its own"
    out.print(f"{report.films} films, {report.pairs} with masks, {patients}", markup=False)
    print_table(out, _counts_table(report))
    for title, table in (
        ("films by condition", report.conditions),
        ("films by channel", report.channels),
        ("films by size, px", report.sizes),
    ):
        out.print(f"{title}: {_few(table)}", markup=False)
    if report.median_dice:
        agreed = ", ".join(f"{source} {dice:.3f}" for source, dice in report.median_dice.items())
        out.print(f"median Dice with the shipped weights: {agreed}", markup=False)
    for finding in _lines(report.findings, everything):
        out.print(finding, markup=False)
    verdict = f"{len(report.errors)} errors, {len(report.warnings)} warnings"
    out.print(verdict, style="bold red" if report.errors else "bold green", markup=False)


def _lines(findings: Iterable[Finding], everything: bool) -> Iterator[str]:
    """Findings as lines, grouped by kind."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.kind, []).append(finding)
    for kind, group in groups.items():
        yield f"{group[0].level}: {kind}: {len(group)} ({group[0].meaning})"
        shown = group if everything else group[:EXAMPLES]
        yield from (f"    {finding.where}  {finding.detail}".rstrip() for finding in shown)
        if len(shown) < len(group):
            yield f"    ... and {len(group) - len(shown)} more (--all)"


def _few(table: dict[str, int], most: int = 6) -> str:
    parts = [f"{name} ({count})" for name, count in list(table.items())[:most]]
    return ", ".join(parts) + (f", and {len(table) - most} more" if len(table) > most else "")


_HEADINGS = {"none": "without split", "unlabelled": "without mask"}


def _counts_table(report: CheckReport) -> Table:
    from rich.table import Table

    parts = [
        part
        for part in ("train", "val", "test", "none", "unlabelled")
        if any(part in row for row in report.counts.values())
    ]
    parts += sorted({part for row in report.counts.values() for part in row} - set(parts))
    table = Table("source", *(_HEADINGS.get(part, part) for part in parts))
    for source, row in report.counts.items():
        table.add_row(source, *(str(row.get(part, 0)) for part in parts))
    if len(report.counts) > 1:
        sums = (sum(row.get(part, 0) for row in report.counts.values()) for part in parts)
        table.add_row("all", *map(str, sums))
    return table


def tally(films: list[Film]) -> dict[str, dict[str, int]]:
    """The contents of each part of the split."""
    people = {(film.split, film.source, film.patient or film.id) for film in films if film.split}
    return {
        "films": dict(Counter(film.split for film in films if film.split)),
        "patients": dict(Counter(part for part, _, _ in people)),
    }


def tally_table(films: list[Film]) -> Table:
    """The number of films of each source and condition in each part of a split."""
    from rich.table import Table

    table = Table("source", "condition", "train", "val", "test")
    counts = Counter((film.source, film.condition, film.split) for film in films if film.split)
    for source, condition in sorted({key[:2] for key in counts}):
        row = (counts[source, condition, part] for part in ("train", "val", "test"))
        table.add_row(source, condition or "-", *map(str, row))
    whole = Counter(film.split for film in films)
    table.add_row("all", "", *(str(whole[part]) for part in ("train", "val", "test")))
    return table


def warn_of_prefixes(films: Sequence[Film]) -> None:
    """Warn of films without a patient whose names begin alike."""
    from pleura.lab.data.patients import PATTERNS, shared_prefixes

    shared = shared_prefixes(films)
    if shared:
        prefix, ids = next(iter(shared.items()))
        console().print(
            f"warning: no patient is stated, and {len(shared)} beginnings of names are shared by "
            f"several films ({prefix}: {', '.join(ids[:3])}), which may be in different parts; if "
            "these are patients, make the split with `pleura data split --patient-pattern`: "
            f"{PATTERNS}",
            markup=False,
        )


def warn_of_empty_parts(films: Sequence[Film], wanted: dict[str, float]) -> None:
    """Name the parts of a split that have no film, and the patient with most films."""
    with_parts = [film for film in films if film.split]
    empty = [
        name
        for name, share in wanted.items()
        if share > 0 and all(film.split != name for film in with_parts)
    ]
    if not empty or not with_parts:
        return
    counts = Counter(film.patient or film.id for film in with_parts)
    patient, most = counts.most_common(1)[0]
    console().print(
        f"warning: no film is in {', '.join(empty)}: {len(with_parts)} films are of {len(counts)} "
        f"patients, {most} of them of {patient}, and the films of a patient stay together; name "
        "the patients with --patient-pattern or in a manifest, divide by --by film, or take larger "
        "shares",
        markup=False,
    )
