"""Varying films while training: chance apart from effect.

`draw` samples a `Variation` from a seeded generator; `vary` applies it and has no chance in it,
except for the noise, whose seed is part of the variation. The same variation therefore always
gives the same film, which is what makes a run resumable and a sheet of examples honest. The
effects are MONAI's deterministic transforms.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from monai.transforms.intensity.array import AdjustContrast, GaussianSmooth
from monai.transforms.spatial.array import Affine
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from pleura.lab.recipe import Augment

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


def draw(augment: Augment, rng: Generator) -> Variation:
    """Sample a variation; the same generator state gives the same one."""

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
    )


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
    if variation.gamma != 1:
        image = torch.as_tensor(np.asarray(AdjustContrast(gamma=variation.gamma)(image)))
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


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    # MONAI's filter sees zeros outside; a film goes on as it ends.
    reach = min(math.ceil(4 * sigma_px), image.shape[-1])
    wide = functional.pad(image[None], (reach,) * 4, mode="replicate")[0]
    blurred = torch.as_tensor(np.asarray(GaussianSmooth(sigma=sigma_px)(wide)))
    return blurred[:, reach:-reach, reach:-reach]


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
