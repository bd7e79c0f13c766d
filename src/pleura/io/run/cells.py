"""Text in the cells of a table: on one line, and never a formula.

Spreadsheets take a cell that begins with one of `= + - @` for a formula, and so run what somebody
wrote into the name of a film. Such a cell gets an apostrophe in front, as a spreadsheet would have
it. So does such text behind a semicolon or a tab, which are column separators where a comma is the
decimal point.
"""

from __future__ import annotations

import re

__all__ = ["name_cell", "name_in", "printable", "text_cell", "text_in"]

_BEGINS = r"(?:^|(?<=;))"
_FORMULA = r"['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20]"  # the last four: in full width
_HARMFUL = re.compile(f"{_BEGINS}(?={_FORMULA})")
_MADE_HARMLESS = re.compile(f"{_BEGINS}'(?={_FORMULA})")

_CONTROL_ONLY = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
_CODES = "|".join(f"{code:02X}" for code in (*range(0x20), *range(0x7F, 0xA0)))
_CONTROL = re.compile(f"{_CONTROL_ONLY.pattern}|%(?={_CODES}|25)")
_CODED = re.compile(f"%({_CODES}|25)")


def text_cell(text: str) -> str:
    """Text for people as a cell: control characters, as line ends, become blanks."""
    return _HARMFUL.sub("'", _CONTROL_ONLY.sub(" ", text))


def text_in(cell: str) -> str:
    """The text in a cell that `text_cell` made; blanks stay."""
    return _MADE_HARMLESS.sub("", cell)


def name_cell(name: str) -> str:
    """A name or path as a cell, to be had back by `name_in`.

    A control character becomes `%` and its code, a line end `%0A`. So does a `%` that a code of
    these stands behind.
    """
    coded = _CONTROL.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return _HARMFUL.sub("'", coded)


def name_in(cell: str) -> str:
    """The name in a cell that `name_cell` made."""
    return _CODED.sub(lambda match: chr(int(match[1], 16)), text_in(cell))


def printable(text: str) -> str:
    """`text` for a terminal: no line ends or other control characters, which could play tricks."""
    return _CONTROL_ONLY.sub("?", text)
