"""The soft tissue of a synthetic chest: outlines in closed form, lengths of beam in each tissue.

Lengths are millimetres in the body's own coordinates: x from the midline, positive towards the
viewer's right (the patient's left); y downwards; z from the back to the front. The outlines are
formulas of x and y, so masks of all sizes are samples of the same drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask

__all__ = [
    "FILM_HEIGHT_MM",
    "FILM_WIDTH_MM",
    "LEFT",
    "RIGHT",
    "Anatomy",
    "Grid",
    "Map",
    "Points",
    "Thorax",
    "cage",
]

FILM_HEIGHT_MM, FILM_WIDTH_MM = 430.0, 376.0
"""The part of the body that is on every film; films of other aspects show more."""

RIGHT, LEFT = -1, 1
"""The sign of x on the patient's side."""

Map: TypeAlias = NDArray[np.float32]
"""(H, W) float32, or (H, 1) if it depends on the height only."""

Points: TypeAlias = NDArray[np.float64]
"""Coordinates or amounts of many points, any shape."""

Ends: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""Two points (x, y), mm."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The anatomy and position of one drawn person; lengths in mm."""

    scale: float
    """Magnification on the film: a little over 1, because the rays diverge."""

    shift_x: float
    shift_y: float
    lean: float
    """Sideways shift for each mm of height, if the person leans."""

    apex: float
    """y of the apices of the lungs."""

    dome_right: float
    dome_left: float
    """y of the two domes of the diaphragm."""

    recess: float
    """Depth of the costophrenic angles below the domes."""

    girth: float
    """Half the inner width of the rib cage."""

    depth: float
    """Half the inner depth of the rib cage, front to back."""

    fat: float
    """Thickness of the chest wall outside the ribs, front and back together."""

    heart: float
    """Size of the heart; at 1 its width is a little less than half of the chest's."""

    heart_tilt: float
    """Angle of the heart's long axis below the horizontal, radians."""

    knob: float
    """Width of the aortic knob."""

    breast: float
    """Thickness of each breast."""

    rib_slope: float
    """Slope of the ribs, relative to the usual one."""

    arm: float
    """Vertical distance from the shoulder to the end of the arm."""

    bowel_seed: int
    """Random seed of the gas bubbles in stomach and bowel."""

    lung_density: float
    """Density of lung tissue relative to water."""

    @classmethod
    def of(cls, seed: int) -> Anatomy:
        """The anatomy of a random person, drawn with a seed."""
        rng = np.random.default_rng((seed, 1))
        dome = rng.normal(292, 8)
        return cls(
            scale=float(np.clip(rng.normal(1.03, 0.03), 0.97, 1.09)),
            shift_x=rng.normal(0, 4),
            shift_y=rng.normal(-6, 6),
            lean=rng.normal(0, 0.012),
            apex=rng.normal(52, 4),
            dome_right=dome,
            dome_left=dome + rng.uniform(5, 14),
            recess=rng.normal(56, 4),
            girth=rng.normal(138, 4),
            depth=rng.normal(80, 4),
            fat=rng.normal(42, 7),
            heart=float(np.clip(rng.normal(1.0, 0.06), 0.86, 1.15)),
            heart_tilt=rng.normal(0.62, 0.07),
            knob=rng.normal(13, 2),
            breast=float(max(0, rng.normal(0, 14))),
            rib_slope=rng.normal(1.0, 0.1),
            arm=rng.normal(130, 35),
            bowel_seed=int(rng.integers(1 << 30)),
            lung_density=rng.normal(0.27, 0.02),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The body coordinates of each pixel's centre."""

    anatomy: Anatomy
    x: Map
    """(H, W)."""

    y: Map
    """(H, 1): leaning is a shear, so that all pixels of a row have the same height."""

    pixel_mm: float
    """The pixel size on the film, mm, in both directions."""

    @classmethod
    def over(cls, height: int, width: int, anatomy: Anatomy) -> Grid:
        """The grid of a film of height x width pixels."""
        pixel_mm = max(FILM_HEIGHT_MM / height, FILM_WIDTH_MM / width)
        rows = (np.arange(height) + 0.5 - height / 2) * pixel_mm + FILM_HEIGHT_MM / 2
        columns = (np.arange(width) + 0.5 - width / 2) * pixel_mm
        y = ((rows - anatomy.shift_y) / anatomy.scale)[:, None]
        x = (columns - anatomy.shift_x) / anatomy.scale - anatomy.lean * (y - 215)
        return cls(anatomy, x.astype(np.float32), y.astype(np.float32), pixel_mm)

    def place(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Body coordinates -> fractional (rows, columns) in pixels; the inverse of `over`."""
        a, (height, width) = self.anatomy, self.x.shape
        film_x = (x + a.lean * (y - 215)) * a.scale + a.shift_x
        film_y = y * a.scale + a.shift_y - FILM_HEIGHT_MM / 2
        rows = film_y / self.pixel_mm + (height - 1) / 2
        return rows, film_x / self.pixel_mm + (width - 1) / 2


class Thorax:
    """The outlines of one person's chest on a grid, and the lengths of beam inside them."""

    def __init__(self, grid: Grid) -> None:
        a, y = grid.anatomy, grid.y
        self.anatomy, self.grid = a, grid
        self._lateral = np.abs(grid.x)
        self._cage_half = cage(a, y)
        self._apex_position = self._across_apex()
        self._mediastinum = np.where(grid.x < 0, _edge_right(a, y), _edge_left(a, y))
        self._below_diaphragm = self._mm_below_diaphragm()
        self._heart = self._heart_radius()
        t = np.clip((y - a.apex) / (0.72 * span(a)), 0, 1)
        self._depth = a.depth * (0.36 + 0.64 * np.sin(t * np.pi / 2))

    def field(self, side: int) -> Mask:
        """(H, W): one lung as readers outline it, without heart, mediastinum and diaphragm."""
        seen = (
            (self._below_diaphragm < 0) & (self._lateral > self._mediastinum) & (self._heart >= 1)
        )
        return self._cavity() & seen & (side * self.grid.x > 0)

    def heart(self) -> Mask:
        """(H, W): the heart's silhouette, down to the diaphragm."""
        inside: Mask = (self._heart < 1) & (self._below_diaphragm < 4)
        return inside

    def lung_mm(self) -> Map:
        """(H, W): length of beam inside the lung, also in front of and behind the heart."""
        rim = np.clip((self._cage_half - self._lateral) / 62, 0, 1)
        length = 2 * self._depth * np.sqrt(1 - (1 - rim) ** 2)
        top = np.sqrt(np.clip(1 - self._apex_position**2, 0, 1))
        below_apex = np.clip((self.grid.y - self.anatomy.apex) / 70, 0, 1)
        length *= below_apex + (1 - below_apex) * top
        within = np.clip(1 - self._lateral / self._mediastinum, 0, 1)
        middle = 1.85 * self._depth * np.sqrt(1 - (1 - within) ** 4)
        heart = 1.77 * self.anatomy.depth * np.sqrt(np.clip(1 - self._heart**4, 0, 1))
        length -= np.hypot(middle, heart)
        # The dome fills the cavity from its middle outwards, and the lung surrounds it.
        above = 1 - np.clip(self._below_diaphragm / 40, 0, 1)
        length *= 1 - np.sqrt(1 - above**3)
        return np.where(self._cavity(), np.maximum(length, 0), 0)

    def body_mm(self) -> Map:
        """(H, W): length of beam inside the skin, lungs included."""
        x, y, a = self._lateral, self.grid.y, self.anatomy
        thick = a.depth * (0.72 + 0.28 * _step(y, 150, 130)) + a.fat / 2
        half: Map = 175 + 0.35 * (a.fat - 42) + 6 * _step(y, 330, 120)
        trunk = _disc(x, half, 2) * 2 * thick * _step(y, 45, 55)
        neck = _disc(x, 54 + 30 * _step(y, 35, 30), 1) * 118
        shoulder = _capsule(x, y, ((40, 60), (172, 104)), (64, 62))
        arm = _capsule(x, y, ((158, 120), (300, 120 + a.arm)), (64, 52))
        fourth = trunk**4 + neck**4 + shoulder**4 + arm**4  # a smooth maximum
        thickness: Map = np.sqrt(np.sqrt(fourth))
        return thickness

    def air_mm(self) -> Map:
        """(H, W): length of beam inside air outside the lungs: trachea, bronchi, stomach, bowel."""
        x, y, a = self.grid.x, self.grid.y, self.anatomy
        fork = (-3.0, a.apex + 92)
        trachea = _capsule(x, y, ((0, -60), fork), (8.5, 8))
        for end, radius in (((-22, a.apex + 110), 7), ((24, a.apex + 112), 6.5)):
            np.maximum(trachea, _capsule(x, y, (fork, end), (radius, 4)), out=trachea)
        return trachea + self._bowel_gas_mm()

    def hilum_mm(self) -> Map:
        """(H, W): length of beam inside the vessels and nodes of each hilum."""
        x, y = self.grid.x, self.grid.y - self.anatomy.apex
        right = _bump(-x, 30, 13) * _bump(y, 138, 26)
        return 27 * (right + _bump(x, 34, 13) * _bump(y, 130, 24))

    def breast_mm(self) -> Map:
        """(H, W): length of beam inside the breasts, thickest near their round lower edge."""
        x, y = self._lateral - 84, self.grid.y - (self.anatomy.dome_right - 12)
        far = (x / 66) ** 2 + (y / np.where(y > 0, 40, 85)) ** 2
        round_off = np.sqrt(np.clip(1 - far, 0, 1)).astype(np.float32)
        return self.anatomy.breast * round_off

    def _bowel_gas_mm(self) -> Map:
        """(H, W): length of beam inside gas bubbles of stomach and bowel, below the left dome."""
        a, gas = self.anatomy, np.zeros_like(self.grid.x)
        rng = np.random.default_rng(a.bowel_seed)
        rows = slice(*np.searchsorted(self.grid.y[:, 0], (a.dome_left, a.dome_left + 110)))
        for _ in range(int(rng.integers(0, 7))):
            wide, high = rng.uniform(5, 18, 2) * (1.2, 0.8)
            x = (self.grid.x[rows] - rng.normal(68, 18)) / wide
            y = (self.grid.y[rows] - a.dome_left - 12 - high - rng.exponential(12)) / high
            gas[rows] += 0.9 * (wide + high) * np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
        return np.minimum(gas, np.float32(60))

    def _cavity(self) -> Mask:
        """(H, W): inside the rib cage and below the apices."""
        inside: Mask = (self._lateral < self._cage_half) & (np.abs(self._apex_position) < 1)
        return inside & (self.grid.y > self.anatomy.apex)

    def _across_apex(self) -> Map:
        """(H, W): -1..1 across each lung's rounded apex, from its medial to its lateral side."""
        a = self.anatomy
        t = np.clip((self.grid.y - a.apex) / (0.13 * span(a)), 1e-4, 1)
        inner = 45 * np.sqrt(1 - (1 - t) ** 2)
        off = self._lateral - 45
        half = np.where(off < 0, inner, np.maximum(self._cage_half - 45, 0.5))
        return (off / half).astype(np.float32)

    def _heart_radius(self) -> Map:
        """(H, W): 0 at the heart's centre, 1 at its edge; the shape is a tilted pear."""
        a = self.anatomy
        x, y = self.grid.x - 25, self.grid.y - (a.dome_right - 31)
        cos, sin = math.cos(a.heart_tilt), math.sin(a.heart_tilt)
        along, across = x * cos + y * sin, y * cos - x * sin
        long, short = 71 * a.heart, 54 * a.heart
        taper = np.maximum(1 - 0.16 * along / long, 0.1)
        radius: Map = np.hypot(along / long, across / (short * taper))
        return radius

    def _mm_below_diaphragm(self) -> Map:
        """(H, W): mm below the edge of the diaphragm, negative above."""
        a = self.anatomy
        top = np.where(self.grid.x < 0, np.float32(a.dome_right), np.float32(a.dome_left))
        off = (self._lateral - 58) / (a.girth - 58)
        fall = np.where(off > 0, a.recess * np.abs(off) ** 2.3, 5 * off**2)
        below: Map = self.grid.y - top - fall
        return below


def span(anatomy: Anatomy) -> float:
    """The height of the lungs from apex to right costophrenic angle, mm."""
    return anatomy.dome_right + anatomy.recess - anatomy.apex


def cage(anatomy: Anatomy, y: NDArray[np.floating]) -> Map:
    """Half the inner width of the rib cage at height y, which is round at the top."""
    t = np.clip((y - anatomy.apex) / span(anatomy), 0, 1.2)
    rise = (1 - (1 - np.clip(t / 0.45, 0, 1)) ** 2) ** 0.556
    half = 45 + (anatomy.girth - 54) * rise + 10 * t
    return np.asarray(half, dtype=np.float32)


def _edge_right(a: Anatomy, y: Map) -> Map:
    """(H, 1): the right edge of the mediastinum: great veins, right atrium."""
    return 17 + 12 * _step(y, a.apex + 85, 100) - 2 * _bump(y, a.apex + 45, 25)


def _edge_left(a: Anatomy, y: Map) -> Map:
    """(H, 1): the left edge of the mediastinum: aortic arch, pulmonary trunk, heart."""
    arch, trunk = a.apex + 82, a.apex + 130
    edge = 15.5 + a.knob * _bump(y, arch, 19) + 17 * _bump(y, trunk, 36)
    return edge + 26 * _step(y, trunk - 15, 85)


def _step(y: Map, start: float, length: float) -> Map:
    """0 before `start`, 1 from `start + length` on, smooth between."""
    t = np.clip((y - start) / length, 0, 1)
    smooth: Map = t * t * (3 - 2 * t)
    return smooth


def _bump(at: Map, centre: float, reach: float) -> Map:
    """A Gaussian of height 1."""
    bump: Map = np.exp(-(((at - centre) / reach) ** 2))
    return bump


def _disc(out: Map, half: Map, squarings: int) -> Map:
    """1 on the midline, 0 from `half` on; more squarings give a steeper rim."""
    share = out / half
    for _ in range(squarings):
        share = share * share
    depth: Map = np.sqrt(np.clip(1 - share, 0, 1))
    return depth


def _capsule(x: Map, y: Map, ends: Ends, radii: tuple[float, float]) -> Map:
    """(H, W): length of beam inside a rod with round ends."""
    (ax, ay), (bx, by) = ends
    length2 = (bx - ax) ** 2 + (by - ay) ** 2
    along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0, 1)
    far2 = (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2
    radius = radii[0] + along * (radii[1] - radii[0])
    chord: Map = 2 * np.sqrt(np.maximum(radius**2 - far2, 0))
    return chord
