"""A strip along a picture's lower edge that says how far its masks may be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from pleura.core.types import Quality, Verdict

__all__ = ["marked"]

_SAYS: dict[Verdict, str] = {
    "review": "PLEURA: REVIEW BEFORE USE",
    "refused": "PLEURA: REFUSED, DO NOT USE",
}
_STRIP = (20, 20, 20, 190)  # the film shows through: whatever is written there can still be read
_INK = (255, 255, 255, 255)
_LETTERS_A_LINE = 80
_SMALLEST_PX = 8


def marked(picture: Image.Image, quality: Quality) -> Image.Image:
    """The picture (RGB) with verdict and doubts written over it; as it is if that is `ok`."""
    if quality.verdict == "ok":
        return picture
    size = max(_SMALLEST_PX, 2 * picture.width / _LETTERS_A_LINE)
    font = ImageFont.load_default(size)
    texts = (_SAYS[quality.verdict], *(doubt.text for doubt in quality.doubts))
    lines = [line for text in texts for line in _wrapped(text, font, picture.width * 0.96)]
    step = 1.25 * size
    top = max(0.0, picture.height - step * (len(lines) + 0.5))
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rectangle((0, top, picture.width, picture.height), fill=_STRIP)
    for number, line in enumerate(lines):
        place = (0.02 * picture.width, top + step * (number + 0.25))
        draw.text(place, line, fill=_INK, font=font)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> Iterator[str]:
    """Lines that fit into `width` px; a word that does not is a line of its own."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            line = word
        else:
            line = longer
    yield line
