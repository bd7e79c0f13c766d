"""Writing text into the cells of a table: on one line, and never as a formula.

A spreadsheet runs a cell that begins with one of `= + - @` as a formula, also one that somebody
wrote into the name of a film. Such a cell gets an apostrophe in front, which spreadsheets take as
the mark of text. So does such text after a semicolon, which separates columns in countries with a
decimal comma.
"""

from __future__ import annotations

import re

__all__ = ["name_cell", "name_in", "printable", "text_cell", "text_in"]

_BEGINS = r"(?:^|(?<=;))"
_FORMULA = r"['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20]"  # the last four are full-width characters
_FORMULA_START = re.compile(f"{_BEGINS}(?={_FORMULA})")
_ESCAPED = re.compile(f"{_BEGINS}'(?={_FORMULA})")

_CONTROL_ONLY = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
_CODES = "|".join(f"{code:02X}" for code in (*range(0x20), *range(0x7F, 0xA0)))
_CONTROL = re.compile(f"{_CONTROL_ONLY.pattern}|%(?={_CODES}|25)")
_CODED = re.compile(f"%({_CODES}|25)")


def text_cell(text: str) -> str:
    """Text as a cell: control characters, such as line ends, become blanks."""
    return _FORMULA_START.sub("'", _CONTROL_ONLY.sub(" ", text))


def text_in(cell: str) -> str:
    """The text of a cell that `text_cell` made; control characters remain blanks."""
    return _ESCAPED.sub("", cell) if "'" in cell else cell


def name_cell(name: str) -> str:
    """A name or path as a cell; `name_in` gives it back.

    A control character becomes `%` and its code, a line end `%0A`. A `%` before such a code becomes
    `%25`.
    """
    coded = _CONTROL.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return _FORMULA_START.sub("'", coded)


def name_in(cell: str) -> str:
    """The name of a cell that `name_cell` made."""
    text = text_in(cell)
    return _CODED.sub(lambda match: chr(int(match[1], 16)), text) if "%" in text else text


def printable(text: str) -> str:
    """`text` for a terminal: line ends and other control characters become `?`."""
    return _CONTROL_ONLY.sub("?", text)
