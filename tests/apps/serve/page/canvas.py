"""The pixels of a film on the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page


def pixels(page: Page, canvas: str) -> np.ndarray[Any, Any]:
    """The film's part of a canvas at native size, (H, W, 4) uint8."""
    page.keyboard.press("1")
    page.wait_for_function(
        """() => document.getElementById("film").dataset.position.endsWith(" 1")"""
    )
    position, size = page.evaluate(
        """() => [document.getElementById("film").dataset.position,
                  document.getElementById("stage").dataset.size]"""
    )
    left, top = (int(part) for part in position.split()[:2])
    width, height = (int(part) for part in size.split(" x "))
    address: str = page.evaluate("(id) => document.getElementById(id).toDataURL()", canvas)
    png = base64.b64decode(address.partition(",")[2])
    whole = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    return whole[top : top + height, left : left + width]
