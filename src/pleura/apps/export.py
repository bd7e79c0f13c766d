"""`pleura export`: from a run's checkpoint to the files that segment and fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A .ckpt of `pleura train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    name: Annotated[
        str | None, typer.Option(help="Names the files; by default the recipe does.")
    ] = None,
) -> None:
    """Export a checkpoint: NAME.onnx to segment with, NAME.safetensors to train on from.

    Beside each lies its SHA-256.

    pleura export runs/first/checkpoints/best.ckpt -o weights
    pleura segment films/ --weights weights/first.onnx -o lungs
    """
    from pleura.lab.outcome import export_checkpoint

    typer.echo(export_checkpoint(checkpoint, out, name=name))
