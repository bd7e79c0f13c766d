"""`pleura export`: from a run's checkpoint to the files that segment and fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .ckpt of `pleura train`, or a .safetensors.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    name: Annotated[
        str | None, typer.Option(help="Names the files; by default the recipe does.")
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="End the network at this head: L1, L2, ...")
    ] = None,
    side: Annotated[
        int | None, typer.Option(min=1, help="Have the network see films at this size, px.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Keep this channel; more than once; all of them.")
    ] = None,
) -> None:
    """Export a checkpoint: NAME.onnx to segment with, NAME.safetensors to train on from.

    Beside each lies its SHA-256.

    pleura export runs/first/checkpoints/best.ckpt -o weights
    pleura segment films/ --weights weights/first.onnx -o lungs

    A network that ends at an earlier head, or sees smaller squares, is quicker
    and less exact:

    pleura export weights/first.safetensors -o weights --name quick --side 256
    """
    from pleura.lab.train.export import Cut, export_checkpoint

    cut = Cut(head=head, side=side, channels=tuple(channel or ()))
    typer.echo(export_checkpoint(checkpoint, out, name=name, cut=cut))
