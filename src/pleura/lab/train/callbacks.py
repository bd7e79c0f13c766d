"""Callbacks of a training run: save the last epoch, write its scores, end it in time."""

from __future__ import annotations

import csv
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from pleura.io.files.atomic import atomic_write

__all__ = [
    "Deadline",
    "EpochTable",
    "KeepLast",
    "Patience",
    "Stopwatch",
    "Termination",
    "TimeIsUp",
    "keep_best",
]

log = logging.getLogger(__name__)


def keep_best(folder: Path) -> ModelCheckpoint:
    """Writes `best.ckpt` after an epoch whose validation Dice is the best so far."""
    return ModelCheckpoint(
        folder,
        filename="best",
        monitor="val_dice",
        mode="max",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


class KeepLast(ModelCheckpoint):
    """Writes `last.ckpt` after every complete epoch; a resumed run continues from it.

    `save_last` cannot be used: Lightning writes it only after an epoch that is the best so far.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless the epoch is incomplete."""
        if trainer.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)


class Patience(EarlyStopping):
    """Ends a run whose validation Dice no longer improves, also if it is resumed."""

    def __init__(self, epochs: int) -> None:
        super().__init__("val_dice", mode="max", patience=epochs, check_finite=False)

    @property
    def exhausted(self) -> bool:
        """Whether the allowed number of epochs passed without improvement."""
        return bool(self.wait_count >= self.patience)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop a resumed run that had ended before."""
        if self.exhausted:
            trainer.should_stop = True


class TimeIsUp(Exception):
    """Raised to stop an epoch before its end."""


class Deadline(Callback):
    """Ends a run at a time limit, or before an epoch that would exceed it.

    An incomplete epoch is dropped: a run that continued from it would not reach the weights of an
    uninterrupted run. Only an incomplete first epoch is scored and saved, so that there are
    weights; a resumed run then starts again.
    """

    def __init__(self, limit: timedelta) -> None:
        self.limit_s = limit.total_seconds()
        self.begun_s = self.epoch_begun_s = time.monotonic()
        self.longest_epoch_s = 0.0
        self.cut_short = False
        """Whether the first epoch is incomplete."""

    @property
    def left_s(self) -> float:
        """The time until the limit, s."""
        return self.limit_s - (time.monotonic() - self.begun_s)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note the time."""
        self.epoch_begun_s = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop within an epoch. Raises `TimeIsUp` if earlier epochs are saved."""
        if trainer.is_last_batch or not self._exceeded(trainer, ahead_s=0.0):
            return
        if trainer.current_epoch > 0:
            raise TimeIsUp
        self.cut_short = trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop before an epoch that would exceed the limit."""
        spent_s = time.monotonic() - self.epoch_begun_s
        self.longest_epoch_s = max(self.longest_epoch_s, spent_s)
        if self._exceeded(trainer, ahead_s=self.longest_epoch_s):
            trainer.should_stop = True

    def _exceeded(self, trainer: Trainer, *, ahead_s: float) -> bool:
        over = self.left_s < ahead_s
        return bool(trainer.strategy.broadcast(over))  # all processes stop together


class Stopwatch(Callback):
    """Measures the time of a batch, in training and in validation."""

    def __init__(self) -> None:
        self.times_s: dict[str, list[float]] = {"training": [], "validation": []}

    def batch_s(self, kind: str) -> float:
        """The mean time of a batch, s; the first two of several batches are left out."""
        times = self.times_s[kind]
        times = times[min(2, max(0, len(times) - 2)) :]
        return (times[-1] - times[0]) / (len(times) - 1)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Note the time."""
        self.times_s["training"].append(time.monotonic())

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the time."""
        self.times_s["training"].append(time.monotonic())

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Note the time."""
        self.times_s["validation"].append(time.monotonic())

    def on_validation_batch_end(self, *_: Any) -> None:
        """Note the time."""
        self.times_s["validation"].append(time.monotonic())


class Termination(Callback):
    """Ends a run after the batch in which SIGTERM came to one of its processes, in all of them.

    Lightning's own handler communicates with the other processes at once. If they are in the middle
    of another exchange, all wait for ever.
    """

    def __init__(self) -> None:
        self.arrived = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note SIGTERM in the block; outside the main thread no signal is handled."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def comes(self, *, within_s: float) -> bool:
        """Whether SIGTERM has come, or comes within `within_s` seconds."""
        end = time.monotonic() + within_s
        while not self.arrived and time.monotonic() < end:
            time.sleep(0.05)
        return self.arrived

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the place of Lightning's handler, which it removes at the end."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Raise `SystemExit` if SIGTERM has come."""
        if trainer.strategy.reduce_boolean_decision(self.arrived, all=False):
            raise SystemExit(signal.SIGTERM)

    def _note(self, *_: object) -> None:
        self.arrived = True


class EpochTable(Callback):
    """Writes a CSV file with a row for each complete epoch; a resumed run keeps earlier rows.

    A cell is empty if a score is undefined, because no validation film has that channel. The
    learning rate is logged for TensorBoard and others too; with `lines` each row is a line of the
    log.
    """

    def __init__(self, path: Path, *, lines: bool = False) -> None:
        self.path, self.lines = path, lines
        self.rows: list[dict[str, Any]] = []
        self.begun_s = 0.0
        self.rate = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Read the rows of earlier epochs."""
        if trainer.current_epoch and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            self.rows = [row for row in rows if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note the time."""
        self.begun_s = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Note the learning rate; the row has that of the epoch's last batch."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            for logger in trainer.loggers:
                logger.log_metrics({"learning_rate": self.rate}, step=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Add a row and write the table."""
        metrics = trainer.callback_metrics  # collects from all processes, so all must call it
        if not (trainer.is_global_zero and trainer.is_last_batch):
            return
        means = {
            name: "" if value.isnan() else f"{float(value):.6g}"
            for name, value in metrics.items()
            if not name.endswith(("_step", "_epoch"))
        }
        spent = f"{time.monotonic() - self.begun_s:.1f}"
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "seconds": spent,
                "learning_rate": self.rate,
                **means,
            }
        )
        if self.lines:
            log.info(
                "epoch %d of %s: loss %s, validation Dice %s, learning rate %.3g, %s s",
                *(trainer.current_epoch + 1, trainer.max_epochs),
                *(means.get("loss"), means.get("val_dice") or "undefined", self.rate, spent),
            )
        columns = dict.fromkeys(name for row in self.rows for name in row)
        with atomic_write(self.path, "w") as file:
            writer = csv.DictWriter(file, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
