"""The layout of nnU-Net: `imagesTr/X_0000.png`, `labelsTr/X.png` and `dataset.json`.

`dataset.json` states the value of each label, as versions 1 and 2 of nnU-Net write it. Films of
`imagesTs` are test films, if they have labels in `labelsTs`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pleura.core.errors import DataError
from pleura.lab.data.film import IGNORE, Film, MaskPart
from pleura.lab.data.layouts.files import pictures, require_pairs
from pleura.lab.data.layouts.structures import (
    MEANINGS,
    Meanings,
    channel_named,
    read_meanings,
)

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "dataset.json, imagesTr/X_0000.* and labelsTr/X.*, as of nnU-Net"

DATASET = "dataset.json"

FIRST_CHANNEL = "_0000"
"""The end of a film's name; those of further channels are `_0001` and so on."""


def matches(path: Path) -> bool:
    """Whether the films and their labels are here."""
    return (path / "imagesTr").is_dir() and (path / "labelsTr").is_dir()


def read(path: Path) -> list[Film]:
    """The films, sorted by id; no patient is stated, the source is the folder's name."""
    labels = _labels(path / DATASET, read_meanings(path))
    tested = (path / "labelsTs").is_dir()
    films = _films(path, "Tr", labels, split="train" if tested else None)
    return films + (_films(path, "Ts", labels, split="test") if tested else [])


def _films(root: Path, part: str, labels: dict[int, str], *, split: str | None) -> list[Film]:
    images, masks = pictures(root / f"images{part}"), pictures(root / f"labels{part}")
    films = []
    for name, image in images.items():
        case = name.removesuffix(FIRST_CHANNEL)
        if case == name:
            raise DataError(
                f"{image}: expected a name that ends in {FIRST_CHANNEL}; a film has one channel"
            )
        mask = masks.get(case)
        parts = tuple(MaskPart(mask, channel, value) for value, channel in labels.items() if mask)
        films.append(Film(case, root.resolve().name, image, parts, split=split if mask else None))
    require_pairs(sum(bool(film.masks) for film in films), masks, root)
    return films


def _labels(path: Path, meanings: Meanings) -> dict[int, str]:
    """Value -> channel, of the labels in `dataset.json`."""
    try:
        stated = dict(json.loads(path.read_bytes())["labels"])
        values = {name: _values(value) for name, value in _by_name(stated).items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: no labels can be read ({error!r}); expected "
            '"labels": {"background": 0, "right lung": 1, "left lung": 2}'
        ) from error
    channels: dict[int, str] = {}
    for name, numbers in values.items():
        for number in numbers:
            channel = IGNORE if name == "ignore" else meanings.get(name.lower())
            channel = channel or meanings.get(str(number)) or channel_named(name)
            if channel is None and number and not meanings:
                raise DataError(
                    f"{path}: the meaning of the label {name!r} is unknown; state its channel in "
                    f'{MEANINGS} beside it, such as {{"field": "{name}"}}'
                )
            if channel and number:
                channels[number] = channel
    return channels


def _by_name(stated: dict[str, Any]) -> dict[str, Any]:
    """The labels by name; version 1 has them by value."""
    if all(key.isdecimal() for key in stated):
        return {str(name): int(value) for value, name in stated.items()}
    return stated


def _values(value: Any) -> list[int]:
    """The values of a label, or of a region of several labels."""
    return [int(number) for number in value] if isinstance(value, list) else [int(value)]
