"""Training speed: films a second against the convolutions alone, and the data loader's share."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pleura.lab.train.dataset import LEVELS, AugmentedSquares, Shuffled, Squares
from pleura.lab.train.machine import Machine
from pleura.lab.train.module import fresh_network
from pleura.lab.train.optimise.loss import supervise
from pleura.lab.train.recipe import Recipe, load_recipe
from pleura.phantom.film import draw

FILMS, STEPS = 16, 3


@dataclass(frozen=True)
class Convolution:
    """A convolution as the network does it: its layer and what it was given."""

    layer: nn.Conv2d | nn.ConvTranspose2d
    shape: tuple[int, ...]


def training(options: argparse.Namespace, _folder: Path) -> dict[str, Any]:
    """Time steps of recipes/default.toml on synthetic films; data are loaded in the same process.

    The precision is the one that `pleura train` chooses on this CPU.
    """
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    recipe = replace(load_recipe(Path("default")), init="", stages=())
    precision = Machine(accelerator="cpu").resolved_precision
    mixed = precision == "bf16-mixed"
    network = fresh_network(recipe).train()
    if mixed:
        network = network.to(memory_format=torch.channels_last)
    convolutions = _convolutions(network, recipe)
    loader = _loader(recipe)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate)
    step_s, load_s, alone_s = [], [], []
    batches = iter(loader)
    for turn in range(STEPS + 1):  # the first warms up
        began = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = supervise(network(batch[0]), batch[1], batch[2], recipe.head_shares)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ended = time.perf_counter()
        alone = sum(_alone(layer, mixed=mixed) for layer in convolutions)
        if turn:
            load_s.append(loaded - began)
            step_s.append(ended - loaded)
            alone_s.append(alone)
    step, load, alone = min(step_s), min(load_s), min(alone_s)
    return {
        "batch": recipe.batch,
        "side": recipe.side,
        "precision": precision,
        "films_a_second": recipe.batch / (step + load),
        "of_the_convolutions_alone": alone / (step + load),
        "loader_share_without_workers": load / (step + load),
        "seconds": {"step": step, "load": load, "convolutions alone": alone},
    }


def _loader(recipe: Recipe) -> DataLoader[Any]:
    images = np.zeros((FILMS, recipe.side, recipe.side), np.uint16)
    targets = np.zeros((FILMS, len(recipe.channels), recipe.side, recipe.side), np.uint8)
    for number in range(FILMS):
        pixels = draw(recipe.side, recipe.side, seed=number).radiograph.pixels
        images[number] = LEVELS * (pixels - pixels.min()) / np.ptp(pixels)
        targets[number] = pixels < np.median(pixels)
    squares = Squares(images, targets, recipe.channels)
    order = Shuffled(FILMS, seed=0)
    varied = AugmentedSquares(squares, recipe)
    return DataLoader(varied, batch_size=recipe.batch, sampler=order)


def _convolutions(network: nn.Module, recipe: Recipe) -> list[Convolution]:
    """Every convolution of one pass, in order."""
    convolutions: list[Convolution] = []
    hooks = [
        layer.register_forward_hook(
            lambda layer, given, _: convolutions.append(Convolution(layer, tuple(given[0].shape)))
        )
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.no_grad():
        network(torch.zeros(recipe.batch, 1, recipe.side, recipe.side))
    for hook in hooks:
        hook.remove()
    return convolutions


def _alone(convolution: Convolution, *, mixed: bool) -> float:
    """Seconds of one convolution, forward and backward, on arrays that are there already."""
    given = torch.rand(convolution.shape)
    if mixed:
        given = given.bfloat16().to(memory_format=torch.channels_last)
    given.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        slope = torch.rand_like(convolution.layer(given))
        began = time.perf_counter()
        made = convolution.layer(given)
    made.backward(slope)
    taken = time.perf_counter() - began
    convolution.layer.zero_grad()
    return taken
