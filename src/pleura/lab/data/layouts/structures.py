"""The meaning of values, colours and names in masks: which channel each of them labels.

`labels.json` in a data set states it: channel -> value, colour, name, or a list of them:

    {"right_field": "Lunge rechts", "left_field": ["#00ff00", 2], "ignore": 255}

Without it, usual names are known: `right lung`, `Lung_L`, `lungs`, `heart`, and those of channels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from PIL import Image, UnidentifiedImageError

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.errors import DataError, FilmError
from pleura.lab.data.film import IGNORE, MaskPart

__all__ = [
    "ALIASES",
    "MEANINGS",
    "Meanings",
    "channel_named",
    "is_colour",
    "named_parts",
    "parts_by_value",
    "read_meanings",
    "segment_parts",
]

Meanings: TypeAlias = Mapping[str, str]
"""Value, colour `#rrggbb`, or name in lower case -> channel; empty if nothing is stated."""

MEANINGS = "labels.json"
"""The name of the file that states the meaning of labels."""

ALIASES = {"field_right": "right_field", "field_left": "left_field"}
"""Other spellings of channels."""

_SIDES = {"right": "right", "r": "right", "rt": "right", "left": "left", "l": "left", "lt": "left"}
_LUNGS = frozenset({"lung", "lungs", "lungfield", "lungfields"})
_HEART = frozenset({"heart", "cardiac", "cardiomediastinal"})
_FILLERS = frozenset({"field", "fields", "whole", "both", "silhouette", "mask", "area", "the"})


def read_meanings(folder: Path) -> Meanings:
    """The meanings in the folder's `labels.json`; empty if there is none.

    Raises `DataError` for a file that is damaged, or names an unknown channel.
    """
    path = folder / MEANINGS
    if not path.is_file():
        return {}
    example = '{"right_field": "#ff0000", "left_field": ["#00ff00", 2]}'
    try:
        stated = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); an example is {example}") from error
    meanings: dict[str, str] = {}
    for name, values in stated.items():
        channel = ALIASES.get(name, name)
        if channel not in (*KNOWN_CHANNELS, IGNORE):
            known = ", ".join((*KNOWN_CHANNELS, IGNORE))
            raise DataError(f"{path}: unknown channel {name!r}; known are {known}, as in {example}")
        for value in values if isinstance(values, list) else [values]:
            plain = _stated(value, path)
            if meanings.setdefault(plain, channel) != channel:
                raise DataError(
                    f"{path}: {plain} is stated for {meanings[plain]} and for {channel}; a value "
                    f"has one meaning, and a colour is written as #rrggbb: {example}"
                )
    return meanings


def _stated(value: object, path: Path) -> str:
    """A value, a colour as `#rrggbb`, or a name in lower case, as `labels.json` states it."""
    plain = _plain(str(value))
    if not isinstance(value, int | str) or isinstance(value, bool) or not plain:
        raise DataError(
            f"{path}: {value!r} is no meaning of a label; expected a whole number, a colour such "
            "as #ff0000, or a name"
        )
    if plain == "0":
        raise DataError(f"{path}: 0 is the background; state the values of the structures only")
    if not plain.startswith("#"):
        return plain
    short = re.fullmatch("#([0-9a-f])([0-9a-f])([0-9a-f])", plain)
    colour = "#" + "".join(2 * digit for digit in short.groups()) if short else plain
    if not is_colour(colour):
        raise DataError(f"{path}: {value!r} is no colour; expected #rrggbb, such as #ff0000")
    return colour


def channel_named(name: str) -> str | None:
    """The channel that a usual name means, such as `Right lung` or `lung_l`; None if unknown."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    plain = ALIASES.get(plain, plain)
    if plain in (*KNOWN_CHANNELS, IGNORE):
        return plain
    words = set(plain.split("_"))
    sides = {_SIDES[word] for word in words if word in _SIDES}
    rest = words - _FILLERS - set(_SIDES)
    definition = "whole" if "whole" in words else "field"
    if rest and rest <= _HEART and not sides:
        return "heart"
    if not rest or not rest <= _LUNGS:
        return None
    return definition if len(sides) != 1 else f"{sides.pop()}_{definition}"


def named_parts(
    path: Path, names: Iterable[str], meanings: Meanings, *, film: str = ""
) -> tuple[MaskPart, ...]:
    """The parts of a file whose structures have names.

    If meanings are stated, names without one are left out. Raises `DataError` if nothing is stated
    and a name is unknown.
    """
    stated = any(not value.isdecimal() and not is_colour(value) for value in meanings)
    channels = {name: _meaning(name, meanings, stated=stated) for name in names}
    unknown = [name for name, channel in channels.items() if channel is None]
    if unknown and not stated:
        raise DataError(
            f"{path}: the meaning of the labels {', '.join(map(repr, unknown))} is unknown; state "
            f'the channel of each in {MEANINGS}, such as {{"right_field": "{unknown[0]}"}}, beside '
            f"the films' folder or the annotations; channels are {', '.join(KNOWN_CHANNELS)}, "
            f"and {IGNORE}"
        )
    return tuple(
        MaskPart(path, channel, optional=channel == "heart", structure=name, film=film)
        for name, channel in channels.items()
        if channel
    )


def segment_parts(path: Path, meanings: Meanings) -> tuple[MaskPart, ...] | None:
    """The parts of a DICOM segmentation, by its segments' names; None for other DICOM files."""
    from pleura.io.dicom.masks import segments_in  # imports pydicom

    try:
        names = segments_in(path)
    except FilmError as error:
        raise DataError(f"{path}: mask cannot be read ({error})") from error
    return None if names is None else named_parts(path, names, meanings)


def parts_by_value(path: Path, meanings: Meanings) -> tuple[MaskPart, ...]:
    """The parts of a picture by its stated colours, if it is coloured, or values; perhaps none."""
    colours = {value: channel for value, channel in meanings.items() if is_colour(value)}
    values = {value: channel for value, channel in meanings.items() if value.isdecimal()}
    if colours and (not values or _is_coloured(path)):
        return tuple(MaskPart(path, channel, structure=name) for name, channel in colours.items())
    return tuple(MaskPart(path, channel, int(value)) for value, channel in values.items())


def is_colour(value: str) -> bool:
    """Whether this is a colour, `#rrggbb`."""
    return re.fullmatch(r"#[0-9a-f]{6}", value) is not None


def _meaning(name: str, meanings: Meanings, *, stated: bool) -> str | None:
    channel = meanings.get(_plain(name))
    return channel if channel or stated else channel_named(name)


def _plain(value: str) -> str:
    return value.strip().lower()


def _is_coloured(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.mode in ("P", "RGB", "RGBA")
    except (OSError, UnidentifiedImageError):
        return False
