"""The training data: films as squares, which are decoded once and cached on disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from pleura._version import __version__
from pleura.core.errors import DataError, FilmError
from pleura.core.frame import Frame, normalise
from pleura.core.pixels.burnt_in import without_burnt_in
from pleura.lab.data.film import Film
from pleura.lab.data.labels import square_target
from pleura.lab.data.weak_labels import (
    fill_certain_labels,
    mark_heart_in_field_unknown,
    mark_heart_tops_unknown,
)
from pleura.lab.train.augment import Sample, draw, vary
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Augment, Recipe

__all__ = [
    "AugmentedSquares",
    "Loaders",
    "Shuffled",
    "SquareOptions",
    "Squares",
    "cache_key",
    "prepare",
]

LEVELS = 65535
"""The largest grey of a stored square, in 16 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """The films of a set as squares of side S, memory-mapped."""

    images: NDArray[np.uint16]
    """(N, S, S)."""

    targets: NDArray[np.uint8]
    """(N, C, S, S): 0 no, 1 yes, 2 unknown."""

    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int) -> Sample:
        """One film as float tensors."""
        image = self.images[index].astype(np.float32)[None] / LEVELS
        labels = torch.from_numpy(self.targets[index].copy())
        return Sample(torch.from_numpy(image), (labels == 1).float(), (labels != 2).float())


class AugmentedSquares(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Squares as (image, target, weight), with a different augmentation in each epoch.

    The key of an item is (epoch, index, repeat). So the augmentation depends on the seed, the
    epoch, the film and how often the epoch has used it. It depends neither on the number of workers
    nor on where a run was interrupted.
    """

    def __init__(self, squares: Squares, recipe: Recipe | None = None) -> None:
        """With a recipe: augmented as in training, at the side of the epoch's stage."""
        self.squares, self.recipe = squares, recipe

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(
        self, key: tuple[int, int, int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        epoch, index, repeat = key
        sample = self.squares.sample(index)
        if self.recipe is not None:
            rng = np.random.default_rng((self.recipe.seed, epoch, index, repeat))
            stage = self.recipe.at(epoch)
            if stage.side < self.recipe.side:
                sample = sample.at_side(stage.side)
            augment = stage.augment or Augment()
            sample = vary(sample, draw(augment, rng), self.squares.channels)
        return sample.image, sample.target, sample.weight


@dataclass(frozen=True, slots=True, eq=False)
class Loaders:
    """The batches of a run: its squares to train and to validate on, and how they are loaded."""

    trained: Squares
    validated: Squares
    machine: Machine
    uses_per_epoch: NDArray[np.float64]
    """How often each film to train on is used in an epoch."""

    def training(self, recipe: Recipe, *, epoch: int = 0) -> DataLoader[Any]:
        """Augmented films in random order, from an epoch on."""
        order = Shuffled(len(self.trained), seed=recipe.seed, uses_per_epoch=self.uses_per_epoch)
        # Lightning sets the epoch too, but only after worker processes have started to fetch.
        order.set_epoch(epoch)
        return self._loader(AugmentedSquares(self.trained, recipe), order, recipe)

    def validation(self, recipe: Recipe) -> DataLoader[Any]:
        """Films as they are, each once."""
        order = Shuffled(len(self.validated), seed=recipe.seed, shuffle=False)
        return self._loader(AugmentedSquares(self.validated), order, recipe)

    def _loader(
        self, squares: AugmentedSquares, order: Shuffled, recipe: Recipe
    ) -> DataLoader[Any]:
        return DataLoader(
            squares,
            batch_size=recipe.batch // self.machine.devices // recipe.accumulate,
            sampler=order,
            num_workers=self.machine.workers,
            persistent_workers=self.machine.workers > 0,
            pin_memory=self.machine.device == "cuda",
            worker_init_fn=_outlive_sigterm,
        )


GRACE_S = 20.0
"""How long a data worker continues after SIGTERM, so that the run can end its batch, s."""


def _outlive_sigterm(_worker: int) -> None:
    """Let a data worker end by itself some time after SIGTERM, and not at once.

    Where SIGTERM goes to all processes of a run, a worker would otherwise end before the run does.
    torch reports that as an error at whatever point the main process is, even in a finalizer.
    """

    def end_later(*_: object) -> None:
        later = threading.Timer(GRACE_S, os._exit, (0,))
        later.daemon = True
        later.start()

    signal.signal(signal.SIGTERM, end_later)


class Shuffled(Sampler[tuple[int, int, int]]):
    """Keys (epoch, index, repeat), in an order that depends on seed and epoch.

    Every film is used once in an epoch, unless `uses_per_epoch` gives another number: a film with
    2.3 is used two or three times (repeats 0, 1, 2), and 2.3 times on average.

    With several processes, each takes every `world`-th key. The last keys are dropped, so that all
    processes have the same number. torch gives the rank of a process only after all have started.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int,
        shuffle: bool = True,
        uses_per_epoch: NDArray[np.float64] | None = None,
        place: tuple[int, int] | None = None,
    ) -> None:
        """`place` is (rank, world) of this process; with None it is read from torch when needed."""
        self.seed, self.shuffle, self.place = seed, shuffle, place
        self.uses_per_epoch = np.ones(count) if uses_per_epoch is None else uses_per_epoch
        self.count = round(float(self.uses_per_epoch.sum()))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        shown = [
            (index, repeat)
            for index, repeats in enumerate(self._repeats(rng))
            for repeat in range(repeats)
        ]
        order = rng.permutation(self.count) if self.shuffle else np.arange(self.count)
        rank, world = self._place()
        mine = order[rank::world][: len(self)]
        return iter([(self.epoch, *shown[place]) for place in mine])

    def _repeats(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """How often each film is used: its uses per epoch, randomly rounded; `count` in total."""
        films = rng.permutation(
            len(self.uses_per_epoch)
        )  # otherwise neighbours would be rounded together
        ends = np.rint(np.cumsum(self.uses_per_epoch[films]) + rng.uniform(-0.5, 0.5)).clip(
            0, self.count
        )
        ends[-1] = self.count
        repeats = np.zeros(len(films), np.int64)
        repeats[films] = np.diff(ends, prepend=0).astype(np.int64)
        return repeats

    def __len__(self) -> int:
        return self.count // self._place()[1]

    def _place(self) -> tuple[int, int]:
        if self.place is not None:
            return self.place
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareOptions:
    """How squares are made. `cache_key` depends on the names of the fields: do not rename them."""

    side: int
    channels: tuple[str, ...]
    hints: bool = False
    """Add labels that follow from the other definition of lung (`lab.data.weak_labels`); for
    training, never for scores."""

    pointed_hearts: tuple[str, ...] = ()
    heart_in_field: tuple[str, ...] = ()
    """Sources whose labels are partly unknown; see the recipe's fields of these names."""


def cache_key(films: Sequence[Film], options: SquareOptions) -> str:
    """SHA-256 over ids, labels, sizes and times of the films' files, and the options.

    It is quick: it reads only headers of films, to find those that are stored mirrored. It names
    a cache on this machine. Raises `DataError` if a file is missing.
    """
    facts: list[object] = [__version__, asdict(options)]
    for film in films:
        labels = [part.key for part in film.masks]
        paths = dict.fromkeys([film.image, *(part.path for part in film.masks)])
        try:
            stats = [(str(path), path.stat()) for path in paths]
        except OSError as error:
            raise DataError(
                f"{film.id}: {error.filename} cannot be read ({error.strerror}); "
                "see `pleura data check`"
            ) from error
        facts.append(
            [film.id, film.source, labels, [(p, s.st_size, s.st_mtime_ns) for p, s in stats]]
        )
        if film.mirrors_masks:
            facts.append("upright")
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def prepare(
    films: Sequence[Film],
    folder: Path,
    options: SquareOptions,
    *,
    on_film: Callable[[], None] = lambda: None,
) -> Squares:
    """The squares of films, in their order; decoded into `folder`, or read from there.

    `on_film` is called after each film, from any thread. Raises `DataError`
    if there is no film, or if one of their files is missing or cannot be decoded.
    """
    if not films:
        raise DataError("no film with a mask to prepare; see `pleura data check`")
    stem = folder / cache_key(films, options)[:16]
    paths = stem.with_suffix(".images.npy"), stem.with_suffix(".targets.npy")
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        # Each process writes to its own files, so that a second or a killed process does no harm.
        parts = [path.with_suffix(f".{os.getpid()}.part") for path in paths]
        try:
            _decode(
                films, (parts[0], parts[1]), partial(_image_and_target, options=options), on_film
            )
            for part, path in zip(parts, paths, strict=True):
                part.replace(path)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    images, targets = (np.load(path, mmap_mode="r") for path in paths)
    return Squares(images, targets, options.channels)


def _decode(
    films: Sequence[Film],
    paths: tuple[Path, Path],
    make: Callable[[Film], tuple[NDArray[np.uint16], NDArray[np.uint8]]],
    on_film: Callable[[], None],
) -> None:
    count, first = len(films), make(films[0])
    image, target = first
    images = np.lib.format.open_memmap(paths[0], "w+", np.uint16, (count, *image.shape))
    targets = np.lib.format.open_memmap(paths[1], "w+", np.uint8, (count, *target.shape))

    def decode_one(index: int) -> None:
        images[index], targets[index] = make(films[index]) if index else first
        on_film()

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(decode_one, index) for index in range(count)]
        try:
            for job in jobs:
                job.result()
        except BaseException:  # after an unreadable film or Ctrl-C the rest is not decoded
            pool.shutdown(cancel_futures=True)
            raise
    images.flush()
    targets.flush()


def _image_and_target(
    film: Film, options: SquareOptions
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """(S, S) film and (C, S, S) target."""
    try:
        image = square_image(film, options.side)
    except FilmError as error:
        raise DataError(f"{film.id} ({film.image}): {error}; or exclude this film") from error
    target = square_target(film.read_labels(), options.side, options.channels)
    if film.source in options.heart_in_field:
        target = mark_heart_in_field_unknown(target, options.channels)
    if film.source in options.pointed_hearts:
        target = mark_heart_tops_unknown(target, options.channels)
    return image, fill_certain_labels(target, options.channels) if options.hints else target


def square_image(film: Film, side: int) -> NDArray[np.uint16]:
    """A film as input of the network: (S, S), resized, normalised, 16 bits."""
    radiograph = film.read_image()
    pixels = without_burnt_in(radiograph.pixels)
    square = normalise(Frame(*radiograph.size, side).fit(pixels))[0]
    levels: NDArray[np.uint16] = np.rint(square * LEVELS).astype(np.uint16)
    return levels
