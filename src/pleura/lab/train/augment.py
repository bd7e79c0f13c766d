"""Varying films while training: chance apart from effect.

`draw` samples a `Variation` from a seeded generator; `vary` applies it and has no chance in it,
except for the noise, whose seed is part of the variation. The same variation therefore always
gives the same film, which is what makes a run resumable and a sheet of examples honest. The
effects are MONAI's deterministic transforms.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from monai.transforms.intensity.array import AdjustContrast, GaussianSmooth
from monai.transforms.spatial.array import Affine
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from pleura.lab.train.recipe import Augment

__all__ = ["Sample", "Variation", "draw", "vary"]

PARTNERS = {
    "right_field": "left_field",
    "left_field": "right_field",
    "right_whole": "left_whole",
    "left_whole": "right_whole",
}
"""What a channel becomes in a mirrored film."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A film in the network's square, with what is known of it."""

    image: Tensor
    """(1, S, S) float32 in [0, 1]."""

    target: Tensor
    """(C, S, S) float32, 0 or 1."""

    weight: Tensor
    """(C, S, S) float32: 1 where the channel is labelled, 0 where nothing is known."""

    def at_side(self, side: int) -> Sample:
        """The same at another side, as `resized` makes it."""
        batch = self.image[None], self.target[None], self.weight[None]
        image, target, weight = resized(batch, side)
        return Sample(image[0], target[0], weight[0])


def resized(batch: tuple[Tensor, Tensor, Tensor], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, target and weight, all (N, K, S, S), at (side, side).

    Greys by mean, targets by majority, known where all was known.
    """
    image, target, weight = (
        functional.interpolate(maps, (side, side), mode="area") for maps in batch
    )
    return image, (target > 0.5).float(), (weight > 1 - 1e-4).float()


@dataclass(frozen=True, slots=True)
class Patch:
    """A soft ellipse painted over the film, in shares of its side."""

    row: float
    column: float
    height: float
    width: float
    level: float
    """Grey that the patch is blended towards, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Burnt-in letters, at a place in shares of the side."""

    text: str
    row: float
    column: float
    size: float
    level: float


@dataclass(frozen=True, slots=True)
class Opacity:
    """One lung gone white, from some height down."""

    left: bool
    top: float
    """Where it begins, in shares of the lung's height from its top; 0 is all of it."""

    cover: float
    """How much of the film is hidden, in [0, 1]."""

    level: float


@dataclass(frozen=True, slots=True)
class Line:
    """A quadratic curve between two points, (row, column) in shares of the side."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    width: float
    level: float


@dataclass(frozen=True, slots=True)
class Variation:
    """Everything that chance decides about one showing of one film."""

    shift: tuple[float, float] = (0.0, 0.0)
    """(down, right), shares of the side."""

    scale: tuple[float, float] = (1.0, 1.0)
    """(rows, columns): size of the shown film against the original; under 1 leaves a border."""

    rotation_deg: float = 0.0
    """Clockwise on the screen."""

    flip: bool = False
    gamma: float = 1.0
    gain: float = 1.0
    offset: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    blur_px: float = 0.0
    invert: bool = False
    patch: Patch | None = None
    stamp: Stamp | None = None
    jpeg_quality: int | None = None
    opacity: Opacity | None = None
    lines: tuple[Line, ...] = ()
    tone: tuple[float, ...] = ()
    """Where the tone curve ends each stretch of the grey scale, rising from above 0 to 1; empty is
    no curve."""

    coarse: float = 1.0
    """Side at which the film is shown, as a share of the square's."""

    @property
    def moves(self) -> bool:
        """Whether any pixel changes its place."""
        still = Variation()
        return (self.shift, self.scale, self.rotation_deg, self.flip) != (
            still.shift,
            still.scale,
            still.rotation_deg,
            still.flip,
        )


GENTLY = 0.3
"""What is left of every extent where a film is varied gently."""


def gentle(augment: Augment) -> Augment:
    """The same at a fraction of every extent, and without all that has a chance."""
    return replace(
        augment,
        **{
            each.name: 0.0
            if each.name.endswith("_chance")
            else GENTLY * getattr(augment, each.name)
            for each in fields(augment)
        },
    )


def draw(augment: Augment, rng: Generator) -> Variation:
    """Sample a variation; the same generator state gives the same one."""
    if augment.gentle_chance and rng.random() < augment.gentle_chance:
        augment = gentle(augment)

    def spread(most: float) -> float:
        return float(rng.uniform(-most, most))

    # A border on each side is a smaller film, off the middle.
    top, bottom, left, right = (float(rng.uniform(0, augment.padding)) for _ in range(4))
    zoom, aspect = 1 + spread(augment.zoom), math.sqrt(1 + abs(spread(augment.aspect)))
    aspect = aspect if rng.random() < 0.5 else 1 / aspect
    tall, wide = 1 / (1 + top + bottom), 1 / (1 + left + right)
    shift = (
        spread(augment.shift) + (top - bottom) / 2 * tall,
        spread(augment.shift) + (left - right) / 2 * wide,
    )
    return Variation(
        shift=shift,
        scale=(zoom * tall * aspect, zoom * wide / aspect),
        rotation_deg=spread(augment.rotation_deg),
        flip=bool(rng.random() < augment.flip_chance),
        gamma=float(np.exp(spread(math.log1p(augment.gamma)))),
        gain=1 + spread(augment.contrast),
        offset=spread(augment.contrast) / 2,
        noise=float(rng.uniform(0, augment.noise)),
        noise_seed=int(rng.integers(2**31)),
        blur_px=float(rng.uniform(0, augment.blur_px)),
        invert=bool(rng.random() < augment.invert_chance),
        patch=_draw_patch(rng) if rng.random() < augment.occlusion_chance else None,
        stamp=_draw_stamp(rng) if rng.random() < augment.text_chance else None,
        jpeg_quality=int(rng.integers(15, 60)) if rng.random() < augment.jpeg_chance else None,
        opacity=_draw_opacity(rng) if rng.random() < augment.opaque_chance else None,
        lines=_draw_lines(rng) if rng.random() < augment.line_chance else (),
        coarse=float(rng.uniform(0.25, 0.75)) if rng.random() < augment.coarse_chance else 1.0,
        tone=_draw_tone(augment.tone, rng) if augment.tone else (),
    )


STRETCHES = 5
"""Of the grey scale, each with a slope of its own in a tone curve."""


def _draw_tone(most: float, rng: Generator) -> tuple[float, ...]:
    slopes = np.exp(rng.uniform(-math.log1p(most), math.log1p(most), STRETCHES))
    return tuple(map(float, np.cumsum(slopes) / slopes.sum()))


def _draw_opacity(rng: Generator) -> Opacity:
    left, whole = rng.random() < 0.5, rng.random() < 0.4
    top = 0.0 if whole else rng.uniform(0.2, 0.8)
    return Opacity(bool(left), *map(float, (top, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95))))


def _draw_lines(rng: Generator) -> tuple[Line, ...]:
    def one() -> Line:
        rows, columns = rng.uniform(0.0, 1.0, 3), rng.uniform(0.1, 0.9, 3)
        first, middle, last = ((float(r), float(c)) for r, c in zip(rows, columns, strict=True))
        width, level = rng.uniform(0.003, 0.015), rng.choice([0.1, 0.7, 0.85, 1.0])
        return Line((first, middle, last), float(width), float(level))

    return tuple(one() for _ in range(int(rng.integers(1, 4))))


def _draw_patch(rng: Generator) -> Patch:
    row, column = rng.uniform(0.2, 0.8, 2)
    height, width = rng.uniform(0.1, 0.5, 2)
    return Patch(*map(float, (row, column, height, width, rng.uniform(0.5, 0.95))))


def _draw_stamp(rng: Generator) -> Stamp:
    letters = rng.choice(list("LRAPWABCDEFGHKMNSTUX0123456789 "), size=int(rng.integers(1, 12)))
    row, column = rng.uniform(0.0, 0.92, 2)
    size, level = rng.uniform(0.03, 0.1), rng.choice([0.0, 0.8, 1.0])
    return Stamp("".join(letters), *map(float, (row, column, size, level)))


def vary(sample: Sample, variation: Variation, channels: tuple[str, ...]) -> Sample:
    """Apply a variation to a film and to what is known of it; shapes stay."""
    image, target, weight = sample.image, sample.target, sample.weight
    if variation.moves:
        count = len(channels)
        # Unknown pixels are carried as ones, so that the border, known to be no lung, is zero.
        moved = _move(torch.cat([image, target, 1 - weight]), variation)
        image = moved[:1]
        target = (moved[1 : 1 + count] >= 0.5).float()
        weight = (moved[1 + count :] < 0.5).float()
    if variation.flip:
        order = [_partner(channels, each) for each in channels]
        target, weight = target[order], weight[order]
        for index, channel in enumerate(channels):  # its partner's mask is not at hand
            if PARTNERS.get(channel, channel) not in channels:
                target[index], weight[index] = 0, 0
    if variation.opacity is not None:
        image = _whiten(image, target, variation.opacity, channels)
    return Sample(_shade(image, variation), target, weight)


def _partner(channels: tuple[str, ...], channel: str) -> int:
    partner = PARTNERS.get(channel, channel)
    return channels.index(partner if partner in channels else channel)


def _move(stack: Tensor, variation: Variation) -> Tensor:
    """(K, S, S) -> (K, S, S), bilinear, zeros outside."""
    side = stack.shape[-1]
    turn = math.radians(variation.rotation_deg)
    cos, sin = math.cos(turn), math.sin(turn)
    mirror = -1.0 if variation.flip else 1.0
    tall, wide = variation.scale
    down, right = (share * side for share in variation.shift)
    # MONAI asks where each shown pixel comes from, in (row, column) from the middle.
    inverse = np.array([[cos / tall, -sin / tall, 0], [sin / wide, cos / wide, 0], [0, 0, 1.0]])
    inverse[1] *= mirror
    inverse @= np.array([[1, 0, -down], [0, 1, -right], [0, 0, 1.0]])
    moved, _ = Affine(affine=inverse, mode="bilinear", padding_mode="zeros")(stack)
    return torch.as_tensor(np.asarray(moved), dtype=torch.float32)


def _shade(image: Tensor, variation: Variation) -> Tensor:
    """Change greys only; (1, S, S) in [0, 1] stays so."""
    if variation.patch is not None:
        image = _paint(image, variation.patch)
    if variation.lines:
        image = _thread(image, variation.lines)
    if variation.coarse != 1:
        image = _coarsen(image, variation.coarse)
    if variation.gamma != 1:
        image = torch.as_tensor(np.asarray(AdjustContrast(gamma=variation.gamma)(image)))
    image = _toned(image, variation.tone)
    if variation.gain != 1 or variation.offset:
        image = (image - 0.5) * variation.gain + 0.5 + variation.offset
    if variation.blur_px:
        image = _blur(image, variation.blur_px)
    if variation.noise:
        generator = torch.Generator().manual_seed(variation.noise_seed)
        image = image + variation.noise * torch.randn(image.shape, generator=generator)
    image = image.clamp(0, 1)
    if variation.stamp is not None:
        image = _letter(image, variation.stamp)
    if variation.jpeg_quality is not None:
        image = _compress(image, variation.jpeg_quality)
    return 1 - image if variation.invert else image


def _toned(image: Tensor, tone: tuple[float, ...]) -> Tensor:
    """Through the curve from (0, 0) to (1, 1) with `tone` at the ends of equal stretches."""
    if not tone:
        return image
    knots = np.linspace(0, 1, len(tone) + 1)
    curve = np.interp(image.clamp(0, 1).numpy(), knots, (0.0, *tone))
    return torch.from_numpy(curve.astype(np.float32))


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    # MONAI's filter sees zeros outside; a film goes on as it ends.
    reach = min(math.ceil(4 * sigma_px), image.shape[-1])
    wide = functional.pad(image[None], (reach,) * 4, mode="replicate")[0]
    blurred = torch.as_tensor(np.asarray(GaussianSmooth(sigma=sigma_px)(wide)))
    return blurred[:, reach:-reach, reach:-reach]


def _whiten(image: Tensor, target: Tensor, opacity: Opacity, channels: tuple[str, ...]) -> Tensor:
    """Hide the lung of that side, if its mask is known; soft at the rim."""
    side = "left" if opacity.left else "right"
    masks = [target[i] for i, name in enumerate(channels) if name.startswith(side)]
    lung = next((mask for mask in masks if mask.any()), None)
    if lung is None:
        return image
    rows = torch.nonzero(lung.any(dim=1))
    top, bottom = int(rows[0]), int(rows[-1])
    begin = top + opacity.top * (bottom - top)
    reach = max(1.0, 0.02 * lung.shape[0])
    ramp = torch.sigmoid((torch.arange(lung.shape[0]) - begin) / reach) if opacity.top else 1.0
    cover = _blur((lung * torch.as_tensor(ramp).view(-1, 1))[None], reach) * opacity.cover
    return image * (1 - cover) + opacity.level * cover


def _thread(image: Tensor, lines: tuple[Line, ...]) -> Tensor:
    """Draw the curves at twice the size, for smooth edges."""
    side = image.shape[-1]
    for line in lines:
        sheet = Image.new("L", (2 * side, 2 * side))
        (r0, c0), (r1, c1), (r2, c2) = line.points
        t = np.linspace(0, 1, 40)
        weights = (1 - t) ** 2, 2 * t * (1 - t), t**2
        columns = weights[0] * c0 + weights[1] * c1 + weights[2] * c2
        rows = weights[0] * r0 + weights[1] * r1 + weights[2] * r2
        path = [(2 * side * c, 2 * side * r) for c, r in zip(columns, rows, strict=True)]
        width = max(1, round(2 * side * line.width))
        ImageDraw.Draw(sheet).line(path, fill=255, width=width, joint="curve")
        cover = 0.8 * _floats(sheet.resize((side, side), Image.Resampling.BOX))
        image = image * (1 - cover) + line.level * cover
    return image


def _coarsen(image: Tensor, share: float) -> Tensor:
    side = image.shape[-1]
    small = functional.interpolate(
        image[None], size=max(8, round(share * side)), mode="bilinear", antialias=True
    )
    return functional.interpolate(small, size=side, mode="bilinear")[0]


def _paint(image: Tensor, patch: Patch) -> Tensor:
    side = image.shape[-1]
    place = (torch.arange(side) + 0.5) / side
    rows = ((place - patch.row) / (patch.height / 2)).view(-1, 1)
    columns = ((place - patch.column) / (patch.width / 2)).view(1, -1)
    cover = torch.exp(-((rows**2 + columns**2) ** 2)) * 0.9  # flat in the middle, soft at the rim
    return image * (1 - cover) + patch.level * cover


def _letter(image: Tensor, stamp: Stamp) -> Tensor:
    side = image.shape[-1]
    picture = Image.fromarray(_bytes(image))
    place = (int(stamp.column * side), int(stamp.row * side))
    font = ImageFont.load_default(size=max(6.0, stamp.size * side))
    ImageDraw.Draw(picture).text(place, stamp.text, fill=int(255 * stamp.level), font=font)
    return _floats(picture)


def _compress(image: Tensor, quality: int) -> Tensor:
    store = io.BytesIO()
    Image.fromarray(_bytes(image)).save(store, "JPEG", quality=quality)
    with Image.open(store) as picture:
        return _floats(picture)


def _bytes(image: Tensor) -> NDArray[np.uint8]:
    return (image[0] * 255).round().byte().numpy()


def _floats(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)[None]
