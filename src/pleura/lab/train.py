"""A training run: films and a recipe in, a folder with weights, log and curves out."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Iterator

import lightning as L  # noqa: N812
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
    Timer,
)
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from rich.progress import Progress
from torch.utils.data import DataLoader

from pleura.core.errors import DataError, UsageError
from pleura.lab.films import Film, with_masks
from pleura.lab.module import Learner
from pleura.lab.outcome import Outcome, export_checkpoint, provenance, write_curves
from pleura.lab.recipe import Augment, Recipe
from pleura.lab.split import carve_validation
from pleura.lab.squares import Shuffled, Squares, VariedSquares, fingerprint, prepare
from pleura.lab.start import fresh_network

__all__ = ["Machine", "divide", "train"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a run is computed; changes its speed, and its weights by no more than rounding."""

    accelerator: str = "auto"
    """auto, cuda, mps or cpu."""

    devices: int = 1
    strategy: str = "auto"
    """As Lightning names it, e.g. ddp."""

    precision: str = "auto"
    """auto, 32-true, bf16-mixed or 16-mixed."""

    workers: int = 0
    """Processes that prepare batches; 0 prepares them between steps."""

    max_time: timedelta | None = None
    progress: bool = True

    @property
    def device(self) -> str:
        """The accelerator, once `auto` is resolved."""
        if self.accelerator != "auto":
            return self.accelerator
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    @property
    def digits(self) -> str:
        """The precision, once `auto` is resolved: 16 bits only where the chip computes in them."""
        if self.precision != "auto":
            return self.precision
        if self.device == "cuda":
            return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
        native = self.device == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if native else "32-true"


def train(
    recipe: Recipe,
    films: Sequence[Film],
    out: Path,
    *,
    resume: bool = False,
    machine: Machine | None = None,
) -> Outcome:
    """Train; leave in `out` weights/, checkpoints/, metrics.csv and curves.png.

    Films of split `test` are never looked at. `resume` goes on from the last finished epoch, to
    the same weights as a run that was not interrupted.

    Raises:
        UsageError: `out` holds a run already and `resume` is false.
        DataError: no film to train on or to validate on.
    """
    machine = machine or Machine()
    last = out / "checkpoints" / "last.ckpt"
    if last.exists() and not resume:
        raise UsageError(f"{out} holds a run already; go on with --resume or take another --out")
    training, validation = divide(films, recipe)
    log.info("%d films to train on, %d to validate on", len(training), len(validation))
    log.info("device %s, precision %s", machine.device, machine.digits)
    data = _facts(training, validation, recipe)
    squares = [_prepared(part, recipe, out, machine) for part in (training, validation)]
    learner = Learner(fresh_network(recipe), recipe, _steps(recipe, machine, len(training)))
    learner.facts = {**provenance(), "data": data, "recipe": recipe.as_dict(), "started": _now()}
    if machine.device == "cuda":
        learner = learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    best = _best_checkpoint(out)
    trainer = _trainer(recipe, out, machine, best)
    with _calm():
        trainer.fit(
            learner,
            _loader(squares[0], recipe, trainer, machine),
            _loader(squares[1], recipe, trainer, machine, validate=True),
            ckpt_path=last if last.exists() else None,
        )
    return _conclude(trainer, recipe, out, best)


def divide(films: Sequence[Film], recipe: Recipe) -> tuple[list[Film], list[Film]]:
    """(training, validation) films, all with masks; sources without `val` have it carved."""
    usable = [film for film in with_masks(films) if film.split != "test"]
    usable = carve_validation(usable, recipe.validation_share, recipe.seed)
    parts = {name: [film for film in usable if film.split == name] for name in ("train", "val")}
    for name, part in parts.items():
        if not part:
            raise DataError(
                f"no film of split {name!r} with a mask among {len(films)}; "
                "see `pleura data check`, and `pleura data split` to make splits"
            )
    return parts["train"], parts["val"]


def _facts(training: list[Film], validation: list[Film], recipe: Recipe) -> dict[str, Any]:
    both = [*training, *validation]
    return {
        "fingerprint": fingerprint(both, side=recipe.side, channels=recipe.channels),
        "films": {"train": len(training), "val": len(validation)},
        "train_by_source": dict(Counter(film.source for film in training)),
    }


def _prepared(films: list[Film], recipe: Recipe, out: Path, machine: Machine) -> Squares:
    with Progress(transient=True, disable=not machine.progress) as progress:
        task = progress.add_task("decode films", total=len(films))
        return prepare(
            films,
            out / "cache",
            side=recipe.side,
            channels=recipe.channels,
            on_film=lambda: progress.advance(task),
        )


def _steps(recipe: Recipe, machine: Machine, films: int) -> int:
    return max(1, -(-(films // machine.devices) // recipe.batch)) * recipe.epochs


def _loader(
    squares: Squares, recipe: Recipe, trainer: L.Trainer, machine: Machine, *, validate: bool = False
) -> DataLoader[Any]:
    augment = Augment() if validate else recipe.augment
    order = Shuffled(
        len(squares),
        seed=recipe.seed,
        rank=trainer.global_rank,
        world=trainer.world_size,
        shuffle=not validate,
    )
    return DataLoader(
        VariedSquares(squares, augment, recipe.seed),
        batch_size=recipe.batch,
        sampler=order,
        num_workers=machine.workers,
        persistent_workers=machine.workers > 0,
        pin_memory=machine.device == "cuda",
    )


def _best_checkpoint(out: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        out / "checkpoints",
        filename="best",
        monitor="val_dice",
        mode="max",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _trainer(recipe: Recipe, out: Path, machine: Machine, best: ModelCheckpoint) -> L.Trainer:
    callbacks: list[Callback] = [best]
    if recipe.early_stop:
        callbacks.append(EarlyStopping("val_dice", mode="max", patience=recipe.early_stop))
    if machine.max_time is not None:
        callbacks.append(Timer(machine.max_time, verbose=False))
    if machine.progress:
        callbacks.append(RichProgressBar())
    with _calm():
        return L.Trainer(
            accelerator=machine.device,
            devices=machine.devices,
            strategy=machine.strategy,
            precision=machine.digits,  # type: ignore[arg-type]
            max_epochs=recipe.epochs,
            gradient_clip_val=recipe.gradient_clip or None,
            callbacks=callbacks,
            logger=_loggers(out),
            default_root_dir=out,
            enable_progress_bar=machine.progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=10,
        )


def _loggers(out: Path) -> list[Logger]:
    loggers: list[Logger] = [
        CSVLogger(out, name="log", version=""),
        TensorBoardLogger(out, name="log", version="", default_hp_metric=False),
    ]
    try:
        import mlflow  # noqa: F401, PLC0415
    except ImportError:
        return loggers
    from lightning.pytorch.loggers import MLFlowLogger  # noqa: PLC0415

    return [*loggers, MLFlowLogger("pleura", save_dir=str(out / "log" / "mlflow"))]


def _conclude(trainer: L.Trainer, recipe: Recipe, out: Path, best: ModelCheckpoint) -> Outcome:
    finished = trainer.current_epoch >= recipe.epochs or trainer.should_stop
    score = best.best_model_score
    weights = out / "weights" / f"{recipe.name}.onnx"
    if trainer.is_global_zero and best.best_model_path:
        write_curves(out / "log" / "metrics.csv", out / "curves.png")
        weights = export_checkpoint(Path(best.best_model_path), out / "weights")
    return Outcome(
        weights=weights,
        val_dice=None if score is None else float(score),
        epochs_done=trainer.current_epoch,
        finished=finished and not trainer.interrupted,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _calm() -> Iterator[None]:
    """Hold back advice of Lightning's that does not apply here."""
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*num_workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*Experiment logs directory .* exists.*")
        warnings.filterwarnings("ignore", ".*TreeSpec.*")
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
