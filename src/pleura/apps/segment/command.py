"""`pleura segment`: films in, masks and a table out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import (
    COMPUTED,
    SAID,
    EngineOptions,
    FilmsAsJson,
    Lungs,
    LungsOption,
    Threads,
    names_in,
)

__all__ = ["segment"]


_WRITES: dict[str, Any] = {"rich_help_panel": "What is written"}


@grouped
def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Films, folders (searched to the bottom), quoted globs, .txt and .csv lists.",
            metavar="INPUT",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for results; folders are mirrored.")
    ],
    *,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also the film with the lungs coloured.", **_WRITES)
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Also one mask a lung.", **_WRITES)
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="mask (the default), overlay, split, labels, npy, nifti, coco, crop, "
            "probabilities; of DICOM films dicom-seg, dicom-seg-fractional, dicom-seg-labelmap, "
            "dicom-sr, dicom-sc, dicom-gsps too; repeatable, or with commas.",
            **_WRITES,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on in OUT: what is finished stays; a format may be added.",
            **_WRITES,
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew in OUT, over what is there.", **_WRITES)
    ] = False,
    uid: Annotated[
        bool, typer.Option("--uid", help="Also DICOM films' UIDs in results.csv.", **_WRITES)
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also colour photographs of films, and films said to be of another body part.",
            **COMPUTED,
        ),
    ] = False,
    lungs: LungsOption = Lungs.field,
    computing: EngineOptions,
    threads: Threads = None,
    batch: Annotated[
        int,
        typer.Option("--batch-size", min=1, help="Films the network takes at a time.", **COMPUTED),
    ] = 1,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that read, and as many that write.", **COMPUTED),
    ] = None,
    as_json: FilmsAsJson = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 4 if a film is to review or refused.", **SAID),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--no-progress", "-q", help="Only errors on stderr.", **SAID)
    ] = False,
) -> None:
    """Find the lungs in films: a mask each, and a table of measurements.

    pleura segment film.dcm -o lungs
    pleura segment films/ -o lungs --overlay --split
    pleura segment 'site*/**/*.png' more.csv -o lungs --format labels,coco

    OUT receives NAME_mask.png (0 and 255, the film's own size) and what else
    is asked for, results.csv with one row a film, and run.json. A film that
    fails is a row with its reason, and the run goes on. A run that was stopped,
    in whatever way, goes on with --resume. Each row has a verdict: ok, review or
    refused; the masks are written all the same. What is left out, as hidden files
    and files of other kinds, is named at the end.
    """
    from pleura.apps.cli.engines import open_engine
    from pleura.apps.segment.output_folder import Place
    from pleura.apps.segment.run import Task, segment_films
    from pleura.runtime.segmenter import Segmenter
    from pleura.runtime.threads import lanes, usable_cpus

    wanted = _formats(formats, {"overlay": overlay, "split": split})
    task = Task(
        place=Place(out=out, formats=wanted, resume=resume, overwrite=overwrite, uid=uid),
        photographs=force,
        jobs=jobs or min(MOST_JOBS, usable_cpus()),
        batch=batch,
        lanes=lanes(threads or usable_cpus()) if computing.device == "cpu" else 1,
        as_json=as_json,
        strict=strict,
        quiet=quiet,
        options={
            "inputs": inputs,
            "batch_size": batch,
            "threads": threads,
            "jobs": jobs,
            "force": force,
        },
    )
    choice = computing.choice(threads=threads)

    def opened(side_by_side: int) -> Segmenter:
        streams = replace(choice, streams=side_by_side)
        return Segmenter(open_engine(computing.weights, streams), definition=lungs.value)

    raise typer.Exit(segment_films(inputs, task, opened))


MOST_JOBS = 4
"""Unless asked for more; each holds a film, and a few keep the network busy."""


def _formats(given: list[str] | None, also: dict[str, bool]) -> tuple[str, ...]:
    """The formats of all `--format`, or the mask, and those with an option of their own."""
    from pleura.io.outputs import check_formats

    names = names_in(given) if given else ["mask"]
    return check_formats([*names, *(name for name, wanted in also.items() if wanted)])
