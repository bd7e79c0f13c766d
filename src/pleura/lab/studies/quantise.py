"""int8 weights from fp32 ones: calibrated on training films, and held against them on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.burnt_in import without_burnt_in
from pleura.core.digest import sha256
from pleura.core.errors import DataError
from pleura.core.frame import Frame, normalise
from pleura.core.masks.cleanup import THRESHOLD
from pleura.io.atomic import write_with_digest
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.net.export import with_card
from pleura.net.int8.quantise import quantise
from pleura.runtime.engine import Engine, OnnxEngine

__all__ = ["Calibration", "Quantised", "quantise_weights"]

CHECKED = 100
"""Films, none of them calibrated on, on which the int8 answer is held against the fp32 one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which films the ranges of the activations are taken from."""

    data: tuple[Path, ...]
    films: int = 60
    """As many from each source; fewer where a source has fewer."""

    layout: str = "auto"
    splits: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Quantised:
    """What came of it."""

    weights: Path
    megabytes: float
    calibrated: int
    """Films calibrated on."""

    agreement: dict[str, Any]
    """Dice of the int8 masks with the fp32 ones on other films, by channel: mean and worst."""


def quantise_weights(
    weights: bytes,
    calibration: Calibration,
    target: Path,
    *,
    on_film: Callable[[], None] = lambda: None,
) -> Quantised:
    """Write int8 weights and their .sha256; what the card says of fp32 stays, and more is said.

    Only films of split `train` are read.

    Raises:
        DataError: there are too few training films, or one cannot be read.
        WeightsError: these weights cannot be quantised.
    """
    fp32 = OnnxEngine(weights)
    chosen, others = _choose(calibration)
    made = quantise(weights, _squares(chosen, fp32.card.side, on_film))
    agreement = _agreement(fp32, OnnxEngine(made), _squares(others, fp32.card.side, on_film))
    card = replace(
        fp32.card,
        precision="int8",
        made_from=sha256(weights),
        scores={**fp32.card.scores, "int8_agreement": agreement},
        data={**fp32.card.data, "calibrated_on": len(chosen)},
    )
    content = with_card(made, card)
    write_with_digest(target, content)
    return Quantised(target, len(content) / 1e6, len(chosen), agreement)


def _choose(calibration: Calibration) -> tuple[list[Film], list[Film]]:
    """Training films to calibrate on, the sources in turn, and others to check with."""
    by_source: dict[str, list[Film]] = {}
    for path in calibration.data:
        for film in read_films(path, layout=calibration.layout, split=calibration.splits):
            if film.split == "train":
                by_source.setdefault(film.source, []).append(film)
    rng = np.random.default_rng(calibration.seed)
    queues = [[films[i] for i in rng.permutation(len(films))] for films in by_source.values()]
    row = list(_in_turn(queues))
    checked = min(CHECKED, len(row) // 5)
    if not checked:
        raise DataError(
            f"{', '.join(map(str, calibration.data))}: {len(row)} films of split 'train', expected "
            "5 or more, about 60 for good ranges; name data sets with a training split"
        )
    return row[: min(calibration.films, len(row) - checked)], row[-checked:]


def _in_turn(queues: Sequence[list[Film]]) -> Iterator[Film]:
    for place in range(max(map(len, queues), default=0)):
        yield from (queue[place] for queue in queues if place < len(queue))


def _squares(
    films: Sequence[Film], side: int, on_film: Callable[[], None]
) -> Iterator[NDArray[np.float32]]:
    """(1, S, S) of each film, as the network is shown it."""
    for film in films:
        radiograph = film.read_image()
        pixels = without_burnt_in(radiograph.pixels)
        yield normalise(Frame(*radiograph.size, side).fit(pixels))
        on_film()


def _agreement(
    fp32: Engine, int8: Engine, squares: Iterator[NDArray[np.float32]]
) -> dict[str, Any]:
    """By channel; a film on which neither sees anything is left out."""
    channels = fp32.card.channels
    dice: dict[str, list[float]] = {channel: [] for channel in channels}
    films = 0
    for square in squares:
        films += 1
        ours, theirs = (each.predict(square[None])[0] >= THRESHOLD for each in (fp32, int8))
        for channel, a, b in zip(channels, ours, theirs, strict=True):
            if a.any() or b.any():
                dice[channel].append(float(2 * (a & b).sum() / (a.sum() + b.sum())))
    found = {
        channel: {"mean": round(float(np.mean(each)), 5), "worst": round(min(each), 5)}
        for channel, each in dice.items()
        if each
    }
    return {"films": films, **found}
