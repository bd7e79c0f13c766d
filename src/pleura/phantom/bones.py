"""The bones of a synthetic chest, and the projection of rods on the film.

A rod is projected as many small volumes, and each of them is divided among the four nearest pixels.
So its shadow is correct at any film size, also for hollow rods and for rods along the beam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pleura.core.pixels.gaussian import gaussian
from pleura.phantom.anatomy import LEFT, RIGHT, Anatomy, Grid, Map, Points, cage

__all__ = ["Canvas", "Rod", "add_rod", "add_shell", "draw_bones"]


class Canvas:
    """A film that sums projected volumes (mm3) and gives lengths of beam (mm)."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.anatomy = grid, grid.anatomy
        self.pitch_mm = grid.pixel_mm / grid.anatomy.scale
        """The size of a pixel in the body, mm."""
        self._sum = np.zeros(grid.x.size, dtype=np.float64)

    @property
    def length_mm(self) -> Map:
        """(H, W): length of beam inside everything added so far."""
        return (self._sum / self.pitch_mm**2).reshape(self.grid.x.shape).astype(np.float32)

    def add(self, x: Points, y: Points, volume_mm3: Points) -> None:
        """Add small volumes at (x, y); those outside the film are dropped."""
        height, width = self.grid.x.shape
        rows, columns = self.grid.place(x.ravel(), y.ravel())
        volume = volume_mm3.ravel()
        top, left = np.floor(rows), np.floor(columns)
        on = (top >= 0) & (top < height - 1) & (left >= 0) & (left < width - 1)
        if not on.any():
            return
        down, along = (rows - top)[on], (columns - left)[on]
        first, volume = (top[on] * width + left[on]).astype(np.int64), volume[on]
        low, high = int(first.min()), int(first.max()) + width + 2
        target = self._sum[low:high]
        for step, share in (
            (0, (1 - down) * (1 - along)),
            (1, (1 - down) * along),
            (width, down * (1 - along)),
            (width + 1, down * along),
        ):
            target += np.bincount(first - low + step, volume * share, minlength=high - low)

    def samples(self, length_mm: float) -> int:
        """The number of points along a length, so that neighbours are less than a pixel apart."""
        return max(16, int(length_mm / min(self.pitch_mm, 2.5) * 0.9))


@dataclass(frozen=True, slots=True, eq=False)
class Rod:
    """A curved rod of elliptical section."""

    path: Points
    """(N, 3), mm."""

    out: Points
    """(N, 3): unit vectors along the section's short axis."""

    tall: Points
    """(N,): half of the section's long axis, mm."""

    thin: Points
    """(N,): half of the short axis, mm."""

    @classmethod
    def round(cls, path: Points, radius: Points) -> Rod:
        """A rod of circular section."""
        return cls(path, np.tile([0.0, 0.0, 1.0], (len(path), 1)), radius, radius)


def add_shell(canvas: Canvas, rod: Rod, thickness_mm: Points) -> None:
    """Add a hollow rod with a wall of `thickness_mm` (N,), as the cortex of a bone."""
    along = np.gradient(rod.path, axis=0)
    step = np.linalg.norm(along, axis=1)
    up = np.cross(along / step[:, None], rod.out)
    count = canvas.samples(np.pi * float(rod.tall.max() + rod.thin.max()))
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    long = rod.tall[:, None] * np.cos(around)
    short = rod.thin[:, None] * np.sin(around)
    x = rod.path[:, 0, None] + long * up[:, 0, None] + short * rod.out[:, 0, None]
    y = rod.path[:, 1, None] + long * up[:, 1, None] + short * rod.out[:, 1, None]
    arc = np.hypot(rod.tall[:, None] * np.sin(around), rod.thin[:, None] * np.cos(around))
    canvas.add(x, y, arc * (2 * np.pi / count) * (step * thickness_mm)[:, None])


def add_rod(canvas: Canvas, rod: Rod, density: float = 1.0) -> None:
    """Add a solid rod, seen from the front."""
    along = np.gradient(rod.path[:, :2], axis=0)
    step = np.linalg.norm(along, axis=1)
    count = canvas.samples(2 * float(rod.tall.max()))
    across = (np.arange(count) + 0.5) / count * 2 - 1
    x = rod.path[:, 0, None] - np.outer(rod.tall * along[:, 1] / step, across)
    y = rod.path[:, 1, None] + np.outer(rod.tall * along[:, 0] / step, across)
    chord = 2 * np.sqrt(1 - across**2) * (2 / count) * density
    canvas.add(x, y, np.outer(rod.tall * rod.thin * step, chord))


def draw_bones(canvas: Canvas, *, seed: int) -> None:
    """Add ribs, clavicles, shoulders and spine, as mm of cortical bone."""
    rng = np.random.default_rng((seed, 2))
    for side in (RIGHT, LEFT):
        for number in range(1, 12):
            _draw_rib(canvas, side, number, rng)
        _draw_clavicle(canvas, side, rng)
        _draw_shoulder(canvas, side, rng)
    for number in range(-5, 19):
        _draw_vertebra(canvas, number, rng)


def _spine_y(anatomy: Anatomy, number: float) -> float:
    """The y of the top of thoracic vertebra `number`, where rib `number` begins."""
    return anatomy.apex - 14 + 21.5 * (number - 1) + 0.4 * max(number - 1, 0) ** 2


def _draw_rib(canvas: Canvas, side: int, number: int, rng: np.random.Generator) -> None:
    a = canvas.anatomy
    head = _spine_y(a, number) + rng.normal(0, 0.8)
    fall = a.rib_slope * (18 + 28 * min(number - 1, 6) / 6) + rng.normal(0, 1.5)
    end = np.deg2rad(min(148, 124 + 6 * number) if number < 10 else 118 - 20 * (number - 10))
    turn = np.linspace(np.deg2rad(7), end, canvas.samples(320))
    y = head + fall * (1 - np.cos(turn)) + 16 * a.rib_slope * np.sin(turn)
    side_y = head + fall
    half = cage(a, side_y + 0.45 * (y - side_y)) + 2.5
    deep = a.depth * 1.1 * min(1.0, 0.55 + 0.09 * number)
    path = np.stack([side * half * np.sin(turn), y, -deep * np.cos(turn)], axis=1)
    out = np.stack([side * np.sin(turn), 0 * turn, -np.cos(turn)], axis=1)
    grow = np.clip((turn - turn[0]) / 0.5, 0, 1)
    tall = (4.8 + 2.0 * grow) * (1 + 0.12 * np.clip(turn - 1.8, 0, 1)) * rng.normal(1, 0.03)
    fade = np.clip((end - turn) / 0.25, 0, 1)  # the bone ends in cartilage
    rod = Rod(path, out, tall, np.full_like(turn, 3.2))
    add_shell(canvas, rod, (1.05 - 0.7 * np.clip(turn - 1.3, 0, 1)) * fade)


def _draw_clavicle(canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    a = canvas.anatomy
    t = np.linspace(0, 1, canvas.samples(150))
    rise = 36 + rng.normal(0, 6)
    y = a.apex + 46 + rng.normal(0, 3) - rise * t - 2.5 * np.sin(2 * np.pi * t)
    path = np.stack([side * (17 + 133 * t), y, 60 - 60 * t], axis=1)
    tall = 5.4 + 3.0 * np.exp(-((t / 0.12) ** 2)) + 1.5 * np.exp(-(((t - 1) / 0.2) ** 2))
    add_shell(canvas, Rod.round(path, tall), 1.0 * _ends(t, 0.03))


def _draw_shoulder(canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    """The borders of the shoulder blade, and the humerus."""
    a = canvas.anatomy
    out, down = a.girth - 132 + rng.normal(0, 3), a.apex + rng.normal(0, 4)
    strokes = (  # corners (x, y) from the midline and the lungs' tops; radius; cortex, mm
        (((152, 62), (146, 80), (138, 112), (133, 150), (130, 172)), 3.4, 1.1),
        (((130, 172), (122, 150), (116, 110), (112, 70), (118, 44)), 1.8, 0.6),
        (((114, 66), (135, 50), (158, 26), (172, 18)), 4.2, 1.0),
        (((118, 44), (135, 40), (143, 44)), 2.0, 0.6),
        (((143, 44), (140, 52), (134, 60)), 5.0, 0.9),
        (((154, 44), (157, 56), (153, 70)), 3.0, 1.2),
        (((172, 54), (180, 90), (196, 140), (240, 230)), 11.0, 2.6),
    )
    move = np.array([out, down])
    for corners, radius, cortex in strokes:
        path = _bend(canvas, np.array(corners, dtype=float) + move)
        path[:, 0] *= side
        t = np.linspace(0, 1, len(path))
        add_shell(canvas, Rod.round(path, np.full(len(path), radius)), cortex * _ends(t, 0.06))
    edges = [_bend(canvas, np.array(strokes[k][0]) + move) for k in (0, 1)]
    _add_sheet(canvas, side, edges[0], edges[1][::-1])
    ball = np.linspace(-21.9, 21.9, canvas.samples(44))
    path = np.stack([side * (172 + out) + 0 * ball, 56 + down + ball, 0 * ball], axis=1)
    head = Rod.round(path, np.sqrt(22**2 - ball**2))
    add_shell(canvas, head, np.full_like(ball, 0.4))
    add_rod(canvas, head, 0.12)


def _add_sheet(canvas: Canvas, side: int, inner: Points, outer: Points) -> None:
    """Add a thin plate between two lines, as in the shoulder blade."""
    count, across = min(len(inner), len(outer)), canvas.samples(40)
    pick = np.linspace(0, 1, count)
    first, last = (line[np.rint(pick * (len(line) - 1)).astype(int), :2] for line in (inner, outer))
    share = np.linspace(0, 1, across)
    x = first[:, 0, None] + np.outer(last[:, 0] - first[:, 0], share)
    y = first[:, 1, None] + np.outer(last[:, 1] - first[:, 1], share)
    area = np.abs(np.gradient(y, axis=0) * np.gradient(x, axis=1))
    canvas.add(side * x, y, 1.3 * area)


def _draw_vertebra(canvas: Canvas, number: int, rng: np.random.Generator) -> None:
    """Body, arch and spinous process of a vertebra; number 1 is the first thoracic one."""
    a = canvas.anatomy
    top, bottom = _spine_y(a, number), _spine_y(a, number + 1)
    half, mid = float(np.clip(13 + 0.5 * number, 10, 20)), (top + bottom) / 2 + 2
    tall = 0.41 * (bottom - top)
    t = np.linspace(-1, 1, canvas.samples(2 * tall))
    waist = half * (0.92 + 0.08 * t**2) + rng.normal(0, 0.3)
    path = np.stack([0 * t, mid + tall * t, 0 * t], axis=1)
    body = Rod(path, np.tile([0.0, 0.0, 1.0], (t.size, 1)), waist, 0.8 * waist)
    add_rod(canvas, body, 0.07)
    add_shell(canvas, body, np.full_like(t, 0.28))
    across = np.linspace(-half, half, canvas.samples(2 * half))
    for edge in (-tall, tall):
        plate = np.stack([across, mid + edge + 0 * across, 0 * across], axis=1)
        flat = Rod(
            plate, plate * 0, np.full_like(across, 0.7), 7 * np.sqrt(1.01 - (across / half) ** 2)
        )
        add_rod(canvas, flat, 0.3)
    for side in (RIGHT, LEFT):
        _ring(canvas, (side * 0.6 * half, mid - 0.25 * tall), (2.6, 4.2))
        stub = np.linspace(0.7 * half, half + 12, canvas.samples(20))
        path = np.stack([side * stub, mid - 0.3 * tall - 0.1 * stub, 0 * stub], axis=1)
        add_shell(canvas, Rod.round(path, np.full_like(stub, 3.5)), np.full_like(stub, 0.4))
    _ring(canvas, (rng.normal(0, 0.8), mid + 0.7 * tall), (2.2, 5.0))


def _ring(canvas: Canvas, centre: tuple[float, float], half: tuple[float, float]) -> None:
    """Add a tube along the beam, as a pedicle or a spinous process."""
    around = np.linspace(0, 2 * np.pi, canvas.samples(30))
    x = centre[0] + half[0] * np.cos(around)
    y = centre[1] + half[1] * np.sin(around)
    path = np.stack([x, y, 0 * x], axis=1)
    add_rod(canvas, Rod(path, path * 0, np.full_like(x, 1.1), np.full_like(x, 1.6)))


def _bend(canvas: Canvas, corners: Points) -> Points:
    """(K, 2) corners -> (N, 3) smooth path at even steps of the parameter."""
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    distances = np.concatenate([[0], np.cumsum(lengths)])
    even = np.linspace(0, distances[-1], canvas.samples(float(distances[-1])))
    xy = np.stack([np.interp(even, distances, corners[:, k]) for k in (0, 1)], axis=1)
    sigma = 6 * len(even) / distances[-1]
    xy = gaussian(xy.astype(np.float32), (sigma, 0), (int(4 * sigma + 0.5), 0))
    return np.column_stack([xy, np.zeros(len(xy))])


def _ends(t: Points, fade: float) -> Points:
    """1 in the middle of a rod, falling to 0 at both ends."""
    share: Points = np.clip(np.minimum(t - t[0], t[-1] - t) / fade, 0, 1)
    return share
