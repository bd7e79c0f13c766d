"""`pleura results`: merging, converting and searching the tables of runs."""

from __future__ import annotations

import typer

from pleura.apps.segment.tables.merge import merge
from pleura.apps.segment.tables.parquet import parquet
from pleura.apps.segment.tables.worst import worst

__all__ = ["results_app"]

results_app = typer.Typer(
    no_args_is_help=True,
    help="Put the tables of shards together, write a table as Parquet, name the worst films.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
results_app.command()(merge)
results_app.command()(parquet)
results_app.command()(worst)
