"""A training run: from films and a recipe to a folder with weights, log and curves."""

from __future__ import annotations

import logging
import signal
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, RichProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, with_masks
from pleura.lab.data.split import add_validation_split, without_copies
from pleura.lab.train.callbacks import (
    Deadline,
    EpochTable,
    KeepLast,
    Patience,
    Termination,
    TimeIsUp,
    keep_best,
)
from pleura.lab.train.dataset import Loaders, SquareOptions, Squares, prepare
from pleura.lab.train.export import (
    Outcome,
    export_checkpoint,
    read_facts,
    read_metrics,
    write_curves,
)
from pleura.lab.train.machine import Machine
from pleura.lab.train.module import Learner, fresh_network, pinned
from pleura.lab.train.pictures import Pictures
from pleura.lab.train.recipe import Recipe
from pleura.lab.train.records.facts import check_labelled, facts_to_resume, run_facts
from pleura.lab.train.records.resume import Resume, RunState, read_run_state
from pleura.lab.train.records.sessions import add_session
from pleura.lab.train.time_limit import within_time
from pleura.net.quiet import quiet
from pleura.net.sync_batch_norm import synchronise

__all__ = ["balance", "divide", "has_diverged", "train"]

log = logging.getLogger(__name__)

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric")
"""Loggers of Lightning, whose messages below warnings are not shown."""

LOG_EVERY = 10
"""The most steps between two entries of loss and learning rate in the logs of a run."""

MIN_VAL_DICE = 0.01
"""The smallest validation Dice of the best epoch; below it the run has diverged."""

USEFUL_VAL_DICE = 0.5
"""The validation Dice of the best epoch from which its weights are kept if the last epoch's is
below `MIN_VAL_DICE`."""


def train(
    recipe: Recipe,
    films: Sequence[Film],
    out: Path,
    *,
    resume: Resume = False,
    machine: Machine | None = None,
) -> Outcome:
    """Write weights/, checkpoints/, log/, metrics.csv, curves.png, sessions.json to `out`.

    Films of split `test` are never used. `resume` continues after the last complete epoch, with the
    same weights as a run without interruption, or starts the run if there is no such epoch. A run
    that starts without it is shortened to the time limit, if there is one; see `time_limit`.

    Raises:
        UsageError: `out` has a run and `resume` is false, or the run is of another recipe or of
            other films, or the hardware is not available, or the run diverged.
        DataError: films to train or validate on, or their labels, are missing or unreadable.
        WeightsError: the weights to start from cannot be read.
        KeyboardInterrupt: on Ctrl-C and SIGTERM; the last complete epoch is kept.
    """
    machine = machine or Machine()
    machine.limit_threads()
    recipe = pinned(recipe)
    last = out / "checkpoints" / "last.ckpt"
    run = read_run_state(last, recipe, resume=resume)
    recipe, done = run.recipe, run.epochs_done
    training, validation = divide(films, recipe, processes=machine.devices)
    check_labelled(training, validation, recipe)
    callbacks = [*_callbacks(recipe, out, machine, validation), termination := Termination()]
    facts = run_facts(training, validation, recipe)
    facts = facts_to_resume(read_facts(last), facts, out) if done else facts
    _announce(training, validation, machine)
    uses = balance(training, recipe)
    steps = _steps(recipe, machine, round(float(uses.sum())))
    trainer = _trainer(recipe, out, machine, callbacks, steps)
    loaders = Loaders(*_prepared((training, validation), recipe, out, machine), machine, uses)
    with _without_advice(), _interruptible(termination):
        if not (done or resume):
            run = _within_time_limit(run, loaders, machine, callbacks)
            recipe, trainer.fit_loop.max_epochs = run.recipe, run.recipe.epochs
        if trainer.is_global_zero and done < recipe.epochs:
            add_session(out / "sessions.json", machine, epochs_done=done)
        trainer.fit(
            _learner(run, steps, facts, machine),
            loaders.training(recipe, epoch=done),
            loaders.validation(recipe),
            ckpt_path=last if done else None,
        )
    return _outcome(trainer, recipe, out)


def _within_time_limit(
    run: RunState, loaders: Loaders, machine: Machine, callbacks: Sequence[Callback]
) -> RunState:
    """The run with as many epochs as fit into the time limit, or as it is without one."""
    deadline = next((callback for callback in callbacks if isinstance(callback, Deadline)), None)
    if deadline is None:
        return run
    recipe = within_time(run.recipe, loaders, machine, deadline.left_s)
    if recipe == run.recipe:
        return run
    return replace(run, recipe=recipe, facts={"asked": run.recipe.as_dict()})


def _learner(run: RunState, steps: int, facts: dict[str, Any], machine: Machine) -> Learner:
    """The learner of a run with `steps` an epoch, as it suits the device and the processes."""
    recipe, network = run.recipe, fresh_network(run.recipe)
    if machine.devices > 1:
        synchronise(network)
    facts = {**facts, **run.facts, "recipe": recipe.as_dict()}
    scheduled = recipe.epochs - max(run.facts.get("extended", ()), default=0)
    learner = Learner(network, recipe, steps * scheduled, facts)
    if machine.device == "cuda" or machine.resolved_precision != "32-true":
        # It reduces the time of 16-bit convolutions on CPUs to 0.6 (oneDNN, AVX-512 BF16).
        return learner.to(memory_format=torch.channels_last)
    return learner


def _announce(training: Sequence[Film], validation: Sequence[Film], machine: Machine) -> None:
    log.info("%d films to train on, %d to validate on", len(training), len(validation))
    log.info("device %s, precision %s", machine.device, machine.resolved_precision)


def divide(
    films: Sequence[Film], recipe: Recipe, *, processes: int = 1
) -> tuple[list[Film], list[Film]]:
    """(training, validation) films with masks.

    `add_validation_split` takes validation films from sources that have none.

    Raises `DataError` if one part has fewer films than there are processes.
    """
    usable = [film for film in without_copies(with_masks(films)) if film.split != "test"]
    usable = add_validation_split(
        usable, recipe.validation_share, recipe.validation_seed, copies=recipe.copies
    )
    parts = {name: [film for film in usable if film.split == name] for name in ("train", "val")}
    for name, part in parts.items():
        if len(part) < processes:
            raise DataError(
                f"{len(part)} films of split {name!r} with a mask among {len(films)}, at least "
                f"{processes} needed; see `pleura data check`, and `pleura data split` to make "
                "splits"
            )
    return parts["train"], parts["val"]


def balance(films: Sequence[Film], recipe: Recipe) -> NDArray[np.float64]:
    """How often each film is used: by its weight and the recipe's `balance` and `sources`.

    Raises `UsageError` if the recipe names a source without films.
    """
    sizes = Counter(film.source for film in films)
    unknown = set(recipe.sources) - set(sizes)
    if unknown:
        raise UsageError(
            f"the recipe's [sources] names {', '.join(sorted(unknown))}, but these films are from "
            f"{', '.join(sorted(sizes))}; correct it, or add the films with --data"
        )
    factors = {
        name: recipe.sources.get(name, 1.0) * n**-recipe.balance for name, n in sizes.items()
    }
    relative_uses = np.array([factors[film.source] * film.weight for film in films])
    shown = recipe.films_per_epoch or len(films)
    return np.asarray(relative_uses * (shown / relative_uses.sum()))


def _prepared(
    parts: tuple[list[Film], list[Film]], recipe: Recipe, out: Path, machine: Machine
) -> tuple[Squares, Squares]:
    """The squares of the films to train on, with derived labels, and of those to validate on."""
    training, validation = (
        _squares(part, recipe, out, machine, hints=part is parts[0]) for part in parts
    )
    return training, validation


def _squares(
    films: list[Film], recipe: Recipe, out: Path, machine: Machine, *, hints: bool
) -> Squares:
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=not machine.progress) as progress:
        task = progress.add_task("decode films", total=len(films))
        return prepare(
            films,
            out / "cache",
            SquareOptions(
                side=recipe.side,
                channels=recipe.channels,
                hints=hints and recipe.hints,
                pointed_hearts=recipe.pointed_hearts,
                heart_in_field=recipe.heart_in_field,
            ),
            on_film=lambda: progress.advance(task),
        )


def _steps(recipe: Recipe, machine: Machine, films: int) -> int:
    """Steps of an epoch; `UsageError` if a batch cannot be divided among the devices."""
    if recipe.batch // recipe.accumulate % machine.devices:
        raise UsageError(
            f"a batch of {recipe.batch // recipe.accumulate} films cannot be divided among "
            f"{machine.devices} devices; take another --devices"
        )
    return -(-(films // machine.devices) // (recipe.batch // machine.devices))


def _callbacks(
    recipe: Recipe, out: Path, machine: Machine, validation: Sequence[Film]
) -> list[Callback]:
    kept = out / "checkpoints"
    callbacks: list[Callback] = [
        Pictures([film.id for film in validation], recipe.channels),
        EpochTable(out / "metrics.csv", lines=machine.lines),
        keep_best(kept),
        KeepLast(kept),  # after the best one, because it stores the best score
    ]
    if recipe.early_stop:
        callbacks.append(Patience(recipe.early_stop))
    if recipe.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema_decay))
    if machine.max_time is not None:
        callbacks.append(Deadline(machine.max_time))
    if machine.progress:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return callbacks


def _trainer(
    recipe: Recipe, out: Path, machine: Machine, callbacks: list[Callback], steps: int
) -> L.Trainer:
    try:
        with _without_advice():
            return L.Trainer(
                accelerator=machine.device,
                devices=machine.devices,
                strategy=machine.strategy,
                precision=machine.resolved_precision,  # type: ignore[arg-type]
                max_epochs=recipe.epochs,
                gradient_clip_val=recipe.gradient_clip or None,
                accumulate_grad_batches=recipe.accumulate,
                callbacks=callbacks,
                logger=_loggers(out),
                default_root_dir=out,
                enable_progress_bar=machine.progress,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
                log_every_n_steps=min(LOG_EVERY, steps),
            )
    except (MisconfigurationException, ValueError) as error:
        raise UsageError(
            f"this machine cannot train with these options: {error} Choose another --accelerator, "
            "--devices, --strategy or --precision"
        ) from error


def _loggers(out: Path) -> list[Logger]:
    loggers: list[Logger] = [
        TensorBoardLogger(out, name="log", version="", default_hp_metric=False)
    ]
    try:
        import mlflow  # noqa: F401
    except ImportError:
        return loggers
    from lightning.pytorch.loggers import MLFlowLogger

    return [*loggers, MLFlowLogger("pleura", save_dir=str(out / "log" / "mlflow"))]


def _outcome(trainer: L.Trainer, recipe: Recipe, out: Path) -> Outcome:
    best = out / "checkpoints" / "best.ckpt"
    done, score = trainer.current_epoch, None
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Deadline) and callback.cut_short:
            done = 0
    patience = trainer.early_stopping_callback
    exhausted = isinstance(patience, Patience) and patience.exhausted
    weights = out / "weights" / f"{recipe.name}.onnx"
    diverged = False
    if best.exists():
        score = read_facts(best)["val_dice"]
        diverged = has_diverged(score, out / "metrics.csv")
        if trainer.is_global_zero:
            if (out / "metrics.csv").exists():
                write_curves(out / "metrics.csv", out / "curves.png")
            if not diverged:
                weights = export_checkpoint(best, out / "weights")
    return Outcome(
        weights=weights,
        val_dice=score,
        epochs_done=done,
        finished=done >= recipe.epochs or exhausted,
        diverged=diverged,
    )


def has_diverged(best: float | None, table: Path) -> bool:
    """Whether the best epoch finds almost nothing, or the last one after a best one of no use."""
    if best is None or best < MIN_VAL_DICE:
        return True
    scores = read_metrics(table).get("val_dice", []) if table.exists() else []
    return bool(scores) and scores[-1][1] < MIN_VAL_DICE and best < USEFUL_VAL_DICE


@contextmanager
def _interruptible(termination: Termination) -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C and SIGTERM, and restore the handler of Ctrl-C.

    Lightning raises `SystemExit` instead, and ignores Ctrl-C afterwards. Where SIGTERM goes to all
    processes, a data worker or another training process may end before this one has noticed.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        with termination.noted():
            try:
                yield
            except RuntimeError as error:
                if not (_is_lost_process(error) and termination.comes(within_s=_MAX_DELAY_S)):
                    raise
                raise SystemExit(signal.SIGTERM) from error
    except TimeIsUp:
        log.info("time is up; the incomplete epoch is dropped")
    except SystemExit as end:
        log.warning("interrupted; the last finished epoch is kept, --resume continues from there")
        raise KeyboardInterrupt from end
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


_MAX_DELAY_S = 2.0
"""How long after the end of another process the SIGTERM that ended it may arrive here, s."""


def _is_lost_process(error: RuntimeError) -> bool:
    """Whether a data worker ended, or the connection to another training process."""
    return any(text in str(error) for text in ("DataLoader worker", "Connection closed by peer"))


@contextmanager
def _without_advice() -> Iterator[None]:
    """Suppress advice of Lightning that does not apply here."""
    with quiet(*LOGGERS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*num_workers.*")
        warnings.filterwarnings("ignore", ".*worker processes in total.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*TreeSpec.*")
        warnings.filterwarnings("ignore", ".*functional.all_gather is deprecated.*")
        yield
