"""The vessels of the lungs: trees that branch outwards from the hilum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pleura.phantom.anatomy import LEFT, RIGHT, Anatomy, Points, cage
from pleura.phantom.bones import Canvas

__all__ = ["draw_vessels"]

STEP_MM = 2.0
THINNEST_MM = 0.3
"""The smallest radius of a vessel that is drawn, mm."""

STEMS = (  # direction, degrees below the outward horizontal; radius, mm
    (-84, 3.8), (-70, 3.0), (-55, 4.0), (-38, 2.8), (-22, 3.2), (-5, 3.0), (10, 3.4), (24, 3.6),
    (36, 3.6), (48, 4.4), (58, 5.0), (66, 5.0), (76, 7.0), (88, 4.4),
)  # fmt: skip


def draw_vessels(canvas: Canvas, *, seed: int) -> None:
    """Add the vessel trees of both lungs, as mm of blood."""
    rng = np.random.default_rng((seed, 4))
    for side in (RIGHT, LEFT):
        _add_tree(canvas, _grow(canvas.anatomy, side, rng))


def _grow(anatomy: Anatomy, side: int, rng: np.random.Generator) -> Points:
    """(N, 4): x, y, heading (radians), radius of every step of one lung's tree."""
    stems = np.array(STEMS)
    hilum_y = anatomy.apex + (138 if side == RIGHT else 128)
    count = len(stems)
    tips = np.stack(
        [
            28 + rng.normal(0, 3, count),
            hilum_y + 16 * np.sin(np.deg2rad(stems[:, 0])) + rng.normal(0, 4, count),
            np.deg2rad(stems[:, 0] + rng.normal(0, 6, count)),
            stems[:, 1] * rng.uniform(0.8, 1.15, count),
        ],
        axis=1,
    )
    steps = []
    for step in range(95):
        if len(tips) == 0:
            break
        swell = min(1.0, (step + 1) / 8)  # the root begins inside the mediastinum
        steps.append(tips * (1, 1, 1, swell))
        tips = _advance(tips, anatomy, rng)
    tree = np.concatenate(steps)
    tree[:, 0] *= side
    tree[:, 2] = np.where(side < 0, np.pi - tree[:, 2], tree[:, 2])
    return tree


def _advance(tips: Points, anatomy: Anatomy, rng: np.random.Generator) -> Points:
    """One step of growth: every tip turns and thins, some fork, some end."""
    x, y, heading, radius = tips.T
    heading = heading + rng.normal(0, 0.09, len(tips))
    x, y = x + STEP_MM * np.cos(heading), y + STEP_MM * np.sin(heading)
    room = cage(anatomy, y) - x
    radius = radius * np.where(room < 35, 0.965, np.where(radius > 3, 0.96, 0.985))
    tips = np.stack([x, y, heading, radius], axis=1)
    fork = rng.random(len(tips)) < 0.11
    twigs = tips[fork].copy()
    share = rng.uniform(0.55, 0.85, len(twigs))
    angle = rng.uniform(0.35, 0.8, len(twigs)) * rng.choice([-1, 1], len(twigs))
    tips[fork, 2] -= 0.4 * angle * share
    tips[fork, 3] *= np.sqrt(1 - 0.55 * share**2)
    twigs[:, 2] += angle
    twigs[:, 3] *= share
    tips = np.concatenate([tips, twigs])
    x, y, _, radius = tips.T
    below = y - max(anatomy.dome_right, anatomy.dome_left)
    alive = (radius > THINNEST_MM) & (cage(anatomy, y) - x > 5) & (y > anatomy.apex + 10)
    left: Points = tips[alive & (x > 8) & (below < 40)]
    return left


def _add_tree(canvas: Canvas, tree: Points) -> None:
    """Add each step as a short piece of a solid rod, with more points for thick ones."""
    edges = (0, 0.7, 1.4, 2.8, 20)
    for low, high in pairwise(edges):
        x, y, heading, radius = tree[(tree[:, 3] > low) & (tree[:, 3] <= high)].T[..., None, None]
        if x.size == 0:
            continue
        across = max(3, int(2 * radius.max() / min(canvas.pitch_mm, 2) * 1.3))
        along = max(1, int(np.ceil(STEP_MM / canvas.pitch_mm)))
        u = ((np.arange(across) + 0.5) / across * 2 - 1)[None, :, None]
        v = ((np.arange(along) + 0.5) / along * STEP_MM)[None, None, :]
        chord = 2 * np.sqrt(1 - u**2)
        volume = chord * radius**2 * (2 / across) * (STEP_MM / along)
        canvas.add(
            x + v * np.cos(heading) - u * radius * np.sin(heading),
            y + v * np.sin(heading) + u * radius * np.cos(heading),
            np.broadcast_to(volume, (len(x), across, along)),
        )
