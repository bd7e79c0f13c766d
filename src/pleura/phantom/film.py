"""Drawing a chest film with exact masks, by a simple model of X-ray physics.

The model has attenuation (Beer-Lambert), scatter, quantum noise, detector blur and the film's
characteristic curve. The film is made of formulas and random numbers, without data of patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.errors import UsageError
from pleura.core.pixels.gaussian import gaussian
from pleura.core.pixels.resample import resample
from pleura.core.types import Radiograph, Spacing
from pleura.phantom.anatomy import LEFT, RIGHT, Anatomy, Grid, Map, Thorax
from pleura.phantom.bones import Canvas, draw_bones
from pleura.phantom.vessels import draw_vessels

__all__ = ["MIN_SIDE", "Phantom", "draw"]

MIN_SIDE = 32
"""The smallest side, px: the two lungs touch in smaller films."""

WATER, BONE, BLOOD = 0.0195, 0.052, 0.0205
"""Attenuation per mm at about 65 keV, the mean of a chest film's beam (NIST XCOM, rounded)."""

LEAD = 4.0
"""The attenuation of the side letter."""

LETTER_R = ("11110", "10001", "10001", "11110", "10100", "10010", "10001")
LETTER_CELL_MM = 2.3


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic film and its exact masks, by the definition `field`."""

    radiograph: Radiograph
    right: Mask
    """(H, W): the patient's right lung, at the viewer's left."""

    left: Mask
    heart: Mask


def draw(height: int = 1024, width: int = 896, *, seed: int = 0, marker: bool = True) -> Phantom:
    """Draw a frontal chest film of height x width pixels, brighter = denser, in [0, 1].

    A seed gives the same person at every size, with different noise. The masks are disjoint and
    exact: a pixel belongs to a mask if its centre lies inside the drawn outline. An aspect ratio
    other than 8 : 7 shows more of the arms, or more of neck and abdomen. `marker` adds the lead
    letter R.

    Raises UsageError for a side under `MIN_SIDE` or a negative seed.
    """
    if height < MIN_SIDE or width < MIN_SIDE:
        raise UsageError(
            f"a synthetic film needs at least {MIN_SIDE} x {MIN_SIDE} pixels, "
            f"got {height} x {width}"
        )
    if seed < 0:
        raise UsageError(f"a seed must be 0 or more, got {seed}")
    grid = Grid.over(height, width, Anatomy.of(seed))
    thorax = Thorax(grid)
    attenuation = _attenuation_map(thorax, seed)
    if marker:
        _add_letter(attenuation, grid.pixel_mm, seed)
    return Phantom(
        Radiograph(
            _expose(attenuation, grid.pixel_mm, seed),
            Spacing(grid.pixel_mm, grid.pixel_mm, "drawn"),
            "PA",
            (f"a synthetic film, seed {seed}: no patient",),
        ),
        right=thorax.field(RIGHT),
        left=thorax.field(LEFT),
        heart=thorax.heart(),
    )


def _attenuation_map(thorax: Thorax, seed: int) -> Map:
    """(H, W): the attenuation of the beam, as a natural logarithm."""
    grid = thorax.grid
    bones, vessels = Canvas(grid), Canvas(grid)
    draw_bones(bones, seed=seed)
    draw_vessels(vessels, seed=seed)
    rng = np.random.default_rng((seed, 5))
    fine = _grain(grid, rng, 1.0, (1, 2, 5))
    broad = _grain(grid, rng, 4.0, (1, 3))
    lung = thorax.lung_mm()
    # The shadow of each artery counts twice, for the bronchial wall and the vein beside it.
    blood = np.minimum(2 * vessels.length_mm + thorax.hilum_mm(), 0.5 * lung)
    inside = thorax.anatomy.lung_density * (lung - blood) * (1 + 0.10 * fine)
    soft = np.maximum(thorax.body_mm() - lung - thorax.air_mm(), 0) * (1 + 0.012 * broad)
    soft += thorax.breast_mm()
    attenuation: Map = WATER * (soft + inside) + BLOOD * blood + BONE * bones.length_mm
    return attenuation


def _grain(grid: Grid, rng: np.random.Generator, cell_mm: float, reaches: tuple[int, ...]) -> Map:
    """(H, W): smooth noise of mean 0 and deviation 1, at scales of `reaches` cells."""
    count = round(640 / cell_mm)  # the noise repeats every 640 mm, which is larger than the film
    cells = np.zeros((count, count), dtype=np.float32)
    for reach in reaches:
        noise = rng.standard_normal(cells.shape, dtype=np.float32)
        cloud = _gaussian(noise, reach, truncate=2.5, mode="wrap")
        cells += cloud / cloud.std()
    rows = _interpolated(cells / cells.std(), grid.y / cell_mm, axis=0)
    return _interpolated(rows, grid.x / cell_mm, axis=1)


def _interpolated(cells: Map, at: Map, *, axis: int) -> Map:
    """The values at the places `at` of an axis, linear between two cells of a periodic map."""
    first = np.floor(at)
    share = at - first
    before = first.astype(np.int64) % cells.shape[axis]
    after = (before + 1) % cells.shape[axis]
    near, far = (np.take_along_axis(cells, place, axis) for place in (before, after))
    between: Map = near * (1 - share) + far * share
    return between


def _add_letter(attenuation: Map, pixel_mm: float, seed: int) -> None:
    """Add a lead R beside the right shoulder, unless the pixels are too large for it."""
    cell = round(LETTER_CELL_MM / pixel_mm)
    if cell < 1:
        return
    rng = np.random.default_rng((seed, 6))
    top, left = (int(mm / pixel_mm) for mm in rng.uniform((8, 10), (22, 30)))
    glyph = np.array([[float(dot) for dot in line] for line in LETTER_R], dtype=np.float32)
    letter = LEAD * np.kron(glyph, np.ones((cell, cell), dtype=np.float32))
    height, width = letter.shape
    attenuation[top : top + height, left : left + width] += letter


def _expose(attenuation: Map, pixel_mm: float, seed: int) -> Map:
    """(H, W) attenuation -> (H, W) film in [0, 1]: scatter, noise, detector, film curve."""
    rng = np.random.default_rng((seed, 3))
    middle, slope, flatten = rng.normal((1.42, 0.71, 0.3), (0.07, 0.03, 0.04))
    primary = np.exp(-attenuation)
    signal = primary + 0.10 * _blur(primary, 25 / pixel_mm) + 1e-3
    quanta = 60000 * pixel_mm**2
    signal += np.sqrt(signal / quanta) * rng.standard_normal(signal.shape, dtype=np.float32)
    signal = _gaussian(signal, max(0.25 / pixel_mm, 0.4), truncate=4.0)
    density = -np.log(np.maximum(signal, 1e-4))
    # Workstations reduce broad differences before they apply a film's S-curve.
    evened = density - flatten * _blur(density, 30 / pixel_mm)
    shown: Map = (1 / (1 + np.exp((middle - evened) / slope))).astype(np.float32)
    return shown


def _blur(image: Map, sigma: float) -> Map:
    """A Gaussian blur, computed on blocks of pixels if it is broad."""
    block = max(1, int(sigma / 4))
    height, width = image.shape
    padded = np.pad(image, ((0, -height % block), (0, -width % block)), mode="edge")
    rows, columns = padded.shape[0] // block, padded.shape[1] // block
    small = padded.reshape(rows, block, columns, block).mean(axis=(1, 3))
    small = _gaussian(small, sigma / block, truncate=2.5)
    return resample(small, padded.shape)[:height, :width]


def _gaussian(
    image: Map, sigma: float, *, truncate: float, mode: Literal["edge", "wrap"] = "edge"
) -> Map:
    """A Gaussian filter with a kernel that ends at `truncate` times `sigma`."""
    return gaussian(image, (sigma, sigma), [int(truncate * sigma + 0.5)] * 2, mode=mode)
