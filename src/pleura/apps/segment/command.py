"""`pleura segment`: masks and a table for a folder of films."""

from __future__ import annotations

from typing import Annotated

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.segment.options import ComputeOptions, MessageOptions, OutputOptions

__all__ = ["segment"]


@grouped
def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Films, folders (searched to the bottom), quoted globs, .txt, .csv and .parquet "
            "lists, s3:// and gs:// URLs.",
            metavar="INPUT",
        ),
    ],
    output: OutputOptions,
    computing: ComputeOptions,
    messages: MessageOptions,
) -> None:
    """Find the lungs in films: a mask for each, and a table of measurements.

    pleura segment film.dcm -o lungs
    pleura segment films/ -o lungs --overlay --split
    pleura segment 'site*/**/*.png' more.csv -o lungs --format labels,coco
    pleura segment s3://bucket/films -o lungs --ray HEAD:6379

    OUT receives NAME_mask.png (0 and 255, the film's own size), the files of the
    other formats, results.csv with one row a film, and run.json. A film that
    fails has a row with the reason, and the run continues. --resume continues a
    run that was stopped in any way. Each row has a verdict: ok, review or
    refused; the masks are written in all three cases. Files that are left out,
    such as hidden files and files of other kinds, are named at the end.
    """
    from pleura.apps.segment.messages import Printed
    from pleura.apps.segment.run import Task, segment_films

    task = Task(
        work=computing.work(output.place()),
        options={
            "inputs": inputs,
            "batch_size": computing.batch,
            "threads": computing.threads,
            "jobs": computing.jobs,
            "force": computing.force,
        },
    )
    printed = Printed(as_json=messages.as_json, strict=messages.strict, quiet=messages.quiet)
    report, left_out = segment_films(inputs, task, computing.executor(), printed)
    raise typer.Exit(printed.conclude(report, task.place.records, left_out))
