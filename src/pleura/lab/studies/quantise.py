"""int8 weights: quantised with training films, and compared with the fp32 weights on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.digest import sha256
from pleura.core.errors import DataError
from pleura.core.frame import Frame, normalise
from pleura.core.masks.cleanup import THRESHOLD
from pleura.core.pixels.burnt_in import without_burnt_in
from pleura.io.files.atomic import write_with_digest
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_sets
from pleura.net.export import with_card
from pleura.net.int8.quantise import quantise
from pleura.runtime.engine import Engine, OnnxEngine

__all__ = ["Calibration", "Quantised", "choose_films", "quantise_weights"]

CHECKED = 100
"""The number of films, not used for calibration, on which int8 and fp32 masks are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The films from which the ranges of the activations are measured."""

    data: tuple[Path, ...]
    films: int = 60
    """The number of films, equally many from each source if it has enough."""

    layout: str = "auto"
    splits: str | None = None
    fold: int | None = None
    """The fold of `splits` that validates; its films are not calibrated on."""

    seed: int = 0


@dataclass(frozen=True, slots=True)
class Quantised:
    """The result of a quantisation."""

    weights: Path
    megabytes: float
    calibrated: int
    """The number of films used for calibration."""

    agreement: dict[str, Any]
    """The Dice of int8 and fp32 masks on other films, by channel: mean and worst."""


def quantise_weights(
    weights: bytes,
    films: tuple[Sequence[Film], Sequence[Film]],
    target: Path,
    *,
    on_film: Callable[[], None] = lambda: None,
) -> Quantised:
    """Write int8 weights and their .sha256. The card keeps its scores and adds the agreement.

    `films` are those of `choose_films`: to calibrate on, and to compare the masks on.

    Raises:
        DataError: a film cannot be read.
        WeightsError: the weights cannot be quantised.
    """
    fp32 = OnnxEngine(weights)
    chosen, others = films
    quantised = quantise(weights, _squares(chosen, fp32.card.side, on_film))
    agreement = _agreement(fp32, OnnxEngine(quantised), _squares(others, fp32.card.side, on_film))
    card = replace(
        fp32.card,
        precision="int8",
        made_from=sha256(weights),
        scores={**fp32.card.scores, "int8_agreement": agreement},
        data={**fp32.card.data, "calibrated_on": len(chosen)},
    )
    content = with_card(quantised, card)
    write_with_digest(target, content)
    return Quantised(target, len(content) / 1e6, len(chosen), agreement)


def choose_films(calibration: Calibration) -> tuple[list[Film], list[Film]]:
    """Training films for calibration, from the sources in turn, and others for the comparison.

    Raises `DataError` if there are too few films of split `train`.
    """
    by_source: dict[str, list[Film]] = {}
    for film in read_sets(
        calibration.data,
        layout=calibration.layout,
        split=calibration.splits,
        fold=calibration.fold,
    ):
        if film.split == "train":
            by_source.setdefault(film.source, []).append(film)
    rng = np.random.default_rng(calibration.seed)
    queues = [[films[i] for i in rng.permutation(len(films))] for films in by_source.values()]
    ordered = list(_in_turn(queues))
    checked = min(CHECKED, len(ordered) // 5)
    if not checked:
        raise DataError(
            f"{', '.join(map(str, calibration.data))}: {len(ordered)} films of split 'train', "
            "expected 5 or more, about 60 for good ranges; name data sets with a training split"
        )
    return ordered[: min(calibration.films, len(ordered) - checked)], ordered[-checked:]


def _in_turn(queues: Sequence[list[Film]]) -> Iterator[Film]:
    for index in range(max(map(len, queues), default=0)):
        yield from (queue[index] for queue in queues if index < len(queue))


def _squares(
    films: Sequence[Film], side: int, on_film: Callable[[], None]
) -> Iterator[NDArray[np.float32]]:
    """The network's input for each film, (1, S, S) float32."""
    for film in films:
        radiograph = film.read_image()
        pixels = without_burnt_in(radiograph.pixels)
        yield normalise(Frame(*radiograph.size, side).fit(pixels))
        on_film()


def _agreement(
    fp32: Engine, int8: Engine, squares: Iterator[NDArray[np.float32]]
) -> dict[str, Any]:
    """The Dice of the two masks by channel, without films on which both masks are empty."""
    channels = fp32.card.channels
    dice: dict[str, list[float]] = {channel: [] for channel in channels}
    films = 0
    for square in squares:
        films += 1
        masks = [engine.predict(square[None])[0] >= THRESHOLD for engine in (fp32, int8)]
        for channel, a, b in zip(channels, *masks, strict=True):
            if a.any() or b.any():
                dice[channel].append(float(2 * (a & b).sum() / (a.sum() + b.sum())))
    by_channel = {
        channel: {"mean": round(float(np.mean(values)), 5), "worst": round(min(values), 5)}
        for channel, values in dice.items()
        if values
    }
    return {"films": films, **by_channel}
