"""A preview of training: films in the network's square, augmented by a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pleura.lab.data.contact_sheet import Tile, resize_mask, resize_to
from pleura.lab.data.film import IGNORE, Film
from pleura.lab.data.labels import square_target
from pleura.lab.train.augment import Sample, draw, vary
from pleura.lab.train.dataset import Squares, square_image
from pleura.lab.train.recipe import Recipe

__all__ = ["sample_tile", "varied_tiles"]


def varied_tiles(
    films: Sequence[Film], recipe: Recipe, *, per_film: int = 4, side: int = 200, seed: int = 0
) -> Iterator[Tile]:
    """For each film: the unvaried square, then `per_film` - 1 variations of it.

    Pixels that training does not use (ignored areas, or no label for any channel) are outlined as
    `ignore`. Raises `FilmError` or `DataError` for a film that cannot be read or has no mask.
    """
    for index, film in enumerate(films):
        image = square_image(film, recipe.side)
        target = square_target(film.read_labels(), recipe.side, recipe.channels)
        unvaried = Squares(image[None], target[None], recipe.channels).sample(0)
        yield sample_tile(unvaried, recipe.channels, f"{film.id} as it is", side)
        for repeat in range(1, per_film):
            rng = np.random.default_rng((seed, repeat, index))
            varied = vary(unvaried, draw(recipe.augment, rng), recipe.channels)
            yield sample_tile(varied, recipe.channels, f"{film.id} {repeat}", side)


def sample_tile(sample: Sample, channels: Sequence[str], caption: str, side: int) -> Tile:
    """A picture of a sample with its targets; pixels without any label are outlined as `ignore`."""
    grey = resize_to(np.rint(sample.image[0].numpy() * 255).astype(np.uint8), side)
    masks = {
        channel: resize_mask(target.numpy() > 0.5, grey.shape)
        for channel, target in zip(channels, sample.target, strict=True)
    }
    unknown = (sample.weight < 0.5).all(dim=0).numpy()
    return Tile(grey, {**masks, IGNORE: resize_mask(unknown, grey.shape)}, caption)
