"""A drawn data set, whose files a test can damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pleura.lab.data.check import check
from pleura.lab.data.film import Film
from pleura.lab.data.findings import CheckReport
from pleura.lab.data.layouts import read_films

HEIGHT, WIDTH = 96, 80


def noise(seed: int) -> NDArray[np.float64]:
    """Smooth noise from 0 to 1, different for each seed."""
    drawn = gaussian_filter(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)), 4)
    return np.asarray((drawn - drawn.min()) / np.ptp(drawn))


def film(seed: int) -> NDArray[np.uint8]:
    """Noise that is darker in the lungs, 8 bits."""
    return np.asarray(155 * noise(seed) + np.where(lungs() > 0, 0, 100), np.uint8)


def lungs(number: int | None = None) -> NDArray[np.uint8]:
    """Two rectangles of 60 x 20 px; the mask of a film by its number lacks a pixel of its own."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[20:80, 10:30] = drawn[20:80, 50:70] = 255
    if number is not None:
        drawn[20, 10 + number] = 0
    return drawn


class DataSet:
    """A data set of six films without faults, to be damaged by a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = {f"f{number}": ("train", "val", "test")[number // 2] for number in range(6)}
        self.patients = {name: name for name in self.rows}
        self.labels = "field"
        for number, name in enumerate(self.rows):
            self.write(name, film=film(number), mask=lungs(number))

    def image(self, name: str) -> Path:
        return self.root / "images" / f"{name}.png"

    def mask(self, name: str) -> Path:
        return self.root / "masks" / f"{name}.png"

    def write(self, name: str, **pictures: NDArray[np.uint8]) -> None:
        for kind, pixels in pictures.items():
            path = self.image(name) if kind == "film" else self.mask(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)

    def films(self) -> list[Film]:
        lines = ["id,image,mask,split,patient,labels"]
        for name, part in self.rows.items():
            mask = f"masks/{name}.png" if self.mask(name).exists() else ""
            lines.append(
                f"{name},images/{name}.png,{mask},{part},{self.patients[name]},{self.labels}"
            )
        (self.root / "manifest.csv").write_text("\n".join(lines))
        return read_films(self.root)

    def report(self) -> CheckReport:
        return check(self.films())
