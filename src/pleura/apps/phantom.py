"""The command `pleura phantom`: draw a synthetic chest film with known lungs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["phantom"]

ASPECT = 0.875
"""Width over height, as of an upright film."""


def phantom(
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")],
    size: Annotated[int, typer.Option(min=32, max=12_000, help="Height in pixels.")] = 1024,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed; each seed draws another person.")
    ] = 0,
    masks: Annotated[
        bool, typer.Option("--masks", help="Write the exact masks too: NAME_mask, _right, _left.")
    ] = False,
) -> None:
    """Draw a synthetic chest film of any size, with known lungs.

    pleura phantom -o film.png
    pleura segment film.png -o lungs --overlay
    """
    from PIL import Image

    from pleura.core.masks.overlay import display
    from pleura.io.images.write.masks import save_png
    from pleura.phantom.film import draw

    film = draw(size, round(size * ASPECT), seed=seed)
    stem = out.with_suffix("")
    typer.echo(save_png(Image.fromarray(display(film.radiograph.pixels)), stem.with_suffix(".png")))
    if masks:
        lungs = {"mask": film.right | film.left, "right": film.right, "left": film.left}
        for name, mask in lungs.items():
            path = stem.with_name(f"{stem.name}_{name}.png")
            typer.echo(save_png(Image.fromarray(mask).convert("L"), path))
