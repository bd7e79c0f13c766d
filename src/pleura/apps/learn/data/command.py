"""`pleura data`: fetch public films, check a set, look at it, split it, propose a recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.options import Accept, AsJson, Layout, NoBar, Overwrite, Sets, Splits
from pleura.apps.cli.progress import FilmProgress, console, print_table
from pleura.apps.learn.data.recipe import recipe
from pleura.apps.learn.data.report import (
    EXAMPLES,
    print_report,
    tally,
    tally_table,
    warn_of_empty_parts,
    warn_of_prefixes,
)
from pleura.apps.learn.data.write_text import write_text

if TYPE_CHECKING:
    from PIL.Image import Image

    from pleura.lab.data.download import Progress
    from pleura.lab.data.film import Film
    from pleura.lab.data.findings import CheckReport

__all__ = ["data_app"]

data_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Fetch public films, check a set, look at it, split it, propose a recipe.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Unit(StrEnum):
    """The unit that a split keeps in one part."""

    patient = "patient"
    film = "film"


Data = Annotated[Path, typer.Argument(help="A folder of films and masks, or a manifest.")]

PatientPattern = Annotated[
    str | None,
    typer.Option(
        "--patient-pattern",
        metavar="REGEX",
        help="The patient in a film's id: the first group of this expression, e.g. '^(P[0-9]+)_'. "
        "By default the data set or the DICOM header states it.",
    ),
]


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="montgomery or shenzhen.")],
    to: Annotated[Path, typer.Option(help="The folder for the archive and its content.")],
    url: Annotated[str | None, typer.Option(help="Another address of the same file.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The SHA-256 that the file must have.")] = None,
    as_json: AsJson = False,
    quiet: NoBar = False,
) -> None:
    """Download a public set of films from the US National Library of Medicine, and unpack it.

    pleura data fetch montgomery --to films      138 films, a mask for each lung
    pleura data fetch shenzhen --to films        662 films, without masks

    A download that stopped is continued. The library publishes no checksums: that
    of your first download is written beside the archive, and is compared at every
    later use. No other command uses the network. Without a network, the message
    names the file to download by hand and its place.
    """
    from pleura.lab.data.download import ARCHIVES
    from pleura.lab.data.download import fetch as run

    with _byte_bars(quiet) as progress:
        fetched = run(name, to, url=url, sha256=sha256, progress=progress)
    facts = {
        "name": name,
        "folder": str(fetched.folder),
        "archive": str(fetched.archive),
        "sha256": fetched.sha256,
        "first_use": fetched.first_use,
        "cite": ARCHIVES[name].cite,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    kept = "now written down beside the archive" if fetched.first_use else "as expected"
    out = console()
    out.print(f"sha256 {fetched.sha256}, {kept}", markup=False)
    for line in (ARCHIVES[name].next_step, f"Cite {ARCHIVES[name].cite}"):
        if line:
            out.print(line, markup=False)
    typer.echo(fetched.folder)


@data_app.command()
def check(
    paths: Sets,
    layout: Layout = "auto",
    splits: Splits = None,
    patient_pattern: PatientPattern = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Draw films with their masks into this PNG, those with findings first."),
    ] = None,
    tiles: Annotated[int, typer.Option(min=1, help="Films on the sheet.")] = 48,
    with_model: Annotated[
        bool,
        typer.Option("--with-model", help="Compare the masks with those of the shipped weights."),
    ] = False,
    accept: Accept = None,
    everything: Annotated[
        bool, typer.Option("--all", help=f"List every finding, not {EXAMPLES} of a kind.")
    ] = False,
    as_json: AsJson = False,
    quiet: NoBar = False,
) -> None:
    """Open and compare all films and masks of a set, and list what is wrong.

    pleura data check films
    pleura data check films --with-model --sheet films.png --all
    pleura data check clinic-a clinic-b --splits split.csv
    pleura data check films --json | jq .counts

    Errors make scores or weights wrong: unreadable files, masks without films,
    masks that are empty, full or mark the background, that are turned, mirrored,
    shifted or of another film, the same film or patient in two parts of the
    split. `train`, `finetune` and `evaluate` use no film with an error of its
    own. Warnings are for you to look at.

    Exit codes: 0 no error, 1 errors found, 2 no data set here.
    """
    from pleura.lab.data.check import check as run
    from pleura.lab.data.layouts import read_sets

    films = read_sets(paths, layout=layout, split=splits, patients=patient_pattern)
    with FilmProgress(len(films) * (1 + with_model), quiet=quiet) as bar:
        report = run(films, accepted=accept or (), on_film=bar.advance)
        if with_model:
            report = _with_model(films, report, accept, bar)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        print_report(report, everything)
    if sheet is not None:
        _draw_films(films, report, sheet, tiles)
    if not report.passed:
        raise typer.Exit(Exit.UNEXPECTED)


@data_app.command()
def split(
    paths: Sets,
    test: Annotated[float, typer.Option(help="Share of the films with masks.")] = 0.2,
    val: Annotated[float, typer.Option(help="Share of what is left after the test films.")] = 0.1,
    folds: Annotated[
        int | None,
        typer.Option(help="Divide all but the test films into this many folds, instead of --val."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the random draw.")] = 42,
    by: Annotated[Unit, typer.Option(help="Films of one unit stay in one part.")] = Unit.patient,
    patient_pattern: PatientPattern = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The CSV to write; else stdout.")
    ] = None,
    overwrite: Overwrite = False,
    layout: Layout = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the counts as JSON on stdout; needs --out.")
    ] = False,
) -> None:
    """Divide a set into films to train on, to select on and to test on.

    pleura data split films --test 0.2 --val 0.1 --seed 42 --by patient -o split.csv
    pleura data check films --splits split.csv
    pleura data split films --patient-pattern '^(P[0-9]+)_' -o split.csv
    pleura data split clinic-a clinic-b -o split.csv
    pleura data split films --folds 5 -o folds.csv

    A patient is what a manifest states, the PatientID of a DICOM film, or what
    the pattern finds in the film's name; it is written into the split. Otherwise
    each film counts as a patient.

    The same films and seed give the same split on every machine. Each source and
    condition is represented alike; films without a mask are left out. A file that
    holds anything else than this split is replaced only with --overwrite.

    With --folds the file has a column `fold`, which `--fold` of `train`,
    `finetune` and `evaluate` takes; without `--fold` the first fold validates.
    """
    from pleura.core.errors import UsageError
    from pleura.lab.data.folds import folds_csv, folds_of
    from pleura.lab.data.layouts import read_sets
    from pleura.lab.data.split import split as divide
    from pleura.lab.data.split import split_csv

    if as_json and out is None:
        raise UsageError("--json and the CSV cannot both go to stdout; give --out FILE")
    films_found = read_sets(paths, layout=layout, patients=patient_pattern)
    if folds is None:
        films = divide(films_found, test=test, val=val, seed=seed, by=by.value)
        table = split_csv(films)
    else:
        films, fold_of = folds_of(films_found, folds, test=test, seed=seed, by=by.value)
        table = folds_csv(films, fold_of)
    if by is Unit.patient:
        warn_of_prefixes(films)
        warn_of_empty_parts(films, {"test": test, "val": val if folds is None else 0.0})
    if out is None:
        typer.echo(table, nl=False)
    else:
        write_text(table, out, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **tally(films)}, indent=1))
    else:
        print_table(console(), tally_table(films))


@data_app.command()
def sheet(
    path: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Show films as training varies them by this recipe: a file, or one that ships."
        ),
    ] = None,
    tiles: Annotated[int, typer.Option(min=1, help="Pictures on the sheet.")] = 48,
    each: Annotated[
        int, typer.Option(min=2, help="Pictures of one film, with --recipe; the first is unvaried.")
    ] = 8,
    side: Annotated[int, typer.Option(min=32, help="Side of a picture, px.")] = 200,
    seed: Annotated[int, typer.Option(help="The seed of the variations.")] = 0,
    layout: Layout = "auto",
    splits: Splits = None,
    quiet: NoBar = False,
) -> None:
    """Draw films with the outlines of their masks, as they are or as training varies them.

    pleura data sheet films -o films.png
    pleura data sheet films -o varied.png --recipe default
    """
    from pleura.lab.data.contact_sheet import choose, contact_sheet, film_tiles
    from pleura.lab.data.film import with_masks
    from pleura.lab.data.layouts import read_films

    films = read_films(path, layout=layout, split=splits)
    if recipe is None:
        chosen = choose(films, tiles)
        with FilmProgress(len(chosen), quiet=quiet) as bar:
            drawn = list(film_tiles(chosen, side=side, on_film=bar.advance))
        _write_picture(contact_sheet(drawn, side=side), out)
        return
    from pleura.lab.train.preview import varied_tiles
    from pleura.lab.train.recipe import load_recipe

    rules = load_recipe(recipe)
    chosen = choose(with_masks(films), max(1, tiles // each))
    drawn = list(varied_tiles(chosen, rules, per_film=each, side=side, seed=seed))
    _write_picture(contact_sheet(drawn, columns=each, side=side), out)


data_app.command()(recipe)


def _with_model(
    films: list[Film], report: CheckReport, accept: list[str] | None, bar: FilmProgress
) -> CheckReport:
    """The report, with the findings of a comparison with the shipped weights."""
    from pleura.apps.cli.engines import open_engine
    from pleura.lab.studies.agreement import compare_with_model

    agreement = compare_with_model(films, open_engine(), accepted=accept or (), on_film=bar.advance)
    return report.extended(agreement.findings, agreement.median_dice)


def _draw_films(films: list[Film], report: CheckReport, out: Path, count: int) -> None:
    from pleura.lab.data.contact_sheet import choose, contact_sheet, film_tiles

    flagged = {finding.where for finding in report.findings if finding.kind not in ORDINARY}
    chosen = choose(films, count, first=flagged)
    _write_picture(contact_sheet(list(film_tiles(chosen, flagged=flagged))), out)


ORDINARY = ("film-without-mask", "specks", "other-size")
"""Findings for which a film need not be looked at."""


def _write_picture(picture: Image, out: Path) -> None:
    from pleura.io.files.atomic import atomic_write

    with atomic_write(out) as file:
        picture.save(file, "PNG")
    console().print(f"drawn: {out}", markup=False)


@contextmanager
def _byte_bars(quiet: bool) -> Iterator[Progress]:
    """A bar for the download and one for unpacking, on a terminal."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    err = console()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )
    tasks: dict[str, int] = {}

    def progress(phase: str, done: int, total: int | None) -> None:
        if phase not in tasks:
            tasks[phase] = bars.add_task(phase, total=total, completed=done)
        bars.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

    with bars:
        yield progress
