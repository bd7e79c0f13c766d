"""Pictures of validation films in TensorBoard: after each epoch, the masks beside the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from pleura.lab.data.contact_sheet import Tile, contact_sheet
from pleura.lab.train.augment import Sample
from pleura.lab.train.dataset import AugmentedSquares
from pleura.lab.train.preview import sample_tile

__all__ = ["Pictures"]

MOST = 4
"""Films that are drawn, spread evenly over those to validate on; the same in every epoch."""

SIDE = 256
"""Side of a picture, px."""


class Pictures(Callback):
    """Draws a few validation films with the outlines of labels and of the network's masks.

    It comes before a callback that averages weights, whose averages are in place until then.
    """

    def __init__(self, names: Sequence[str], channels: Sequence[str]) -> None:
        """`names` are those of the validation films, in their order."""
        self.names, self.channels = names, channels
        count = min(MOST, len(names))
        self.chosen = [place * len(names) // count for place in range(count)]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the pictures of this epoch to the log of TensorBoard."""
        logs = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        loader = trainer.val_dataloaders
        if not (trainer.is_global_zero and logs and isinstance(loader, DataLoader)):
            return
        tiles = [tile for index in self.chosen for tile in self._tiles(index, loader, pl_module)]
        sheet = np.asarray(contact_sheet(tiles, columns=2, side=SIDE))
        for log in logs:
            log.experiment.add_image(
                "validation films", sheet, trainer.current_epoch + 1, dataformats="HWC"
            )

    def _tiles(
        self, index: int, loader: DataLoader[object], module: LightningModule
    ) -> Iterator[Tile]:
        """The film with its labels, and with the masks of the last head."""
        assert isinstance(loader.dataset, AugmentedSquares)
        labelled = loader.dataset.squares.sample(index)
        network, name = module.network, self.names[index]
        assert isinstance(network, torch.nn.Module)
        with torch.no_grad():
            logits = network(labelled.image[None].to(module.device))[-1][0].float().cpu()
        predicted = Sample(labelled.image, (logits > 0).float(), torch.ones_like(logits))
        yield sample_tile(labelled, self.channels, f"{name}: labels", SIDE)
        yield sample_tile(predicted, self.channels, f"{name}: network", SIDE)
