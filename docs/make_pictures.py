"""Draws the README's pictures with the shipped weights: an overlay, and the page of the service.

`make pictures` runs it, with chromium for the page. Run it again when the weights, the
synthetic film or the page change.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import pleura
from pleura.core.masks.overlay import display
from pleura.phantom.film import draw

IMAGES = Path(__file__).resolve().parent / "images"
HEIGHT, WIDTH, GAP = 640, 560, 12
"""px of each film in the picture; it is drawn and segmented at twice the size."""

PAGE = {"width": 1280, "height": 820}
"""px of the browser's window."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def overlay_picture(film: np.ndarray) -> Image.Image:
    """The synthetic film, and beside it the overlay with its legend."""
    overlay = pleura.segment(film).overlay()
    sheet = Image.new("RGB", (2 * WIDTH + GAP, round(overlay.height / 2)), "white")
    for column, picture in enumerate((Image.fromarray(display(film)), overlay)):
        size = WIDTH, round(picture.height / 2)
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        sheet.paste(small, (column * (WIDTH + GAP), 0))
    return sheet


@contextmanager
def service() -> Iterator[str]:
    """The address of a `pleura serve` on a free port of this machine."""
    command = [sys.executable, "-m", "pleura", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None, "pleura serve printed no address; run it to see why"
        try:
            yield address[0]
        finally:
            process.terminate()


def page_picture(film: Path, target: Path) -> None:
    """A screenshot of the page after `film` was segmented."""
    assert CHROMIUM, "chromium is missing: apt-get install chromium"
    with service() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport=PAGE)
        page.goto(address)
        page.set_input_files("#files", film)
        page.wait_for_selector('#screen[data-shown^="film.png"]', timeout=60_000)
        page.wait_for_timeout(1000)  # the canvases are painted after the answer
        page.screenshot(path=target)
        browser.close()


def main() -> None:
    """Draw both pictures."""
    IMAGES.mkdir(exist_ok=True)
    film = draw(2 * HEIGHT, 2 * WIDTH).radiograph.pixels
    overlay_picture(film).save(IMAGES / "overlay.png", optimize=True)
    with tempfile.TemporaryDirectory() as folder:
        path, shot = Path(folder) / "film.png", Path(folder) / "page.png"
        Image.fromarray(display(film)).save(path)
        page_picture(path, shot)
        Image.open(shot).convert("RGB").save(IMAGES / "page.png", optimize=True)


if __name__ == "__main__":
    main()
