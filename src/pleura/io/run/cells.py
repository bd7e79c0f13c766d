"""Writing text into the cells of a table: on one line, valid Unicode, and never as a formula.

A spreadsheet runs a cell that begins with one of `= + - @` as a formula, also one that somebody
wrote into the name of a film. Such a cell gets an apostrophe in front, which spreadsheets take as
the mark of text. So does such text after a semicolon, which separates columns in countries with a
decimal comma.

A name of a file on Linux is bytes, and need not be UTF-8: archives of Windows hold names in other
codes. Python keeps such a byte as a surrogate, a character that no text file can hold.
"""

from __future__ import annotations

import re

__all__ = ["name_cell", "name_in", "printable", "readable", "text_cell", "text_in"]

_BEGINS = r"(?:^|(?<=;))"
_FORMULA = r"['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20]"  # the last four are full-width characters
_FORMULA_START = re.compile(f"{_BEGINS}(?={_FORMULA})")
_ESCAPED = re.compile(f"{_BEGINS}'(?={_FORMULA})")

_CONTROL_ONLY = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
_CODES = "|".join(f"{code:02X}" for code in (*range(0x20), *range(0x7F, 0xA0)))
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_SURROGATES = 0xDC00  # Python decodes the byte N of a name, if it is not UTF-8, as U+DC00 + N
_BYTE = "x[89A-F][0-9A-F]"
_CONTROL = re.compile(f"{_CONTROL_ONLY.pattern}|%(?={_CODES}|25|{_BYTE})")
_CODED = re.compile(f"%({_CODES}|25|{_BYTE})")


def text_cell(text: str) -> str:
    """Text as a cell: control characters become blanks, bytes that are not UTF-8 their codes."""
    return _FORMULA_START.sub("'", _CONTROL_ONLY.sub(" ", readable(text)))


def text_in(cell: str) -> str:
    """The text of a cell that `text_cell` made; control characters remain blanks."""
    return _ESCAPED.sub("", cell) if "'" in cell else cell


def name_cell(name: str) -> str:
    """A name or path as a cell; `name_in` gives it back.

    A control character becomes `%` and its code, a line end `%0A`. A byte that is not UTF-8 becomes
    `%x` and its code, the byte 255 `%xFF`. A `%` before such a code becomes `%25`.
    """
    coded = _CONTROL.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return _FORMULA_START.sub("'", readable(coded))


def name_in(cell: str) -> str:
    """The name of a cell that `name_cell` made."""
    text = text_in(cell)
    return _CODED.sub(lambda match: _decoded(match[1]), text) if "%" in text else text


def readable(text: str) -> str:
    """`text` as valid Unicode: a byte that is not UTF-8 becomes `%x` and its code."""
    return _NOT_UTF8.sub(lambda match: f"%x{ord(match[0]) - _SURROGATES:02X}", text)


def _decoded(code: str) -> str:
    if code.startswith("x"):
        return chr(_SURROGATES + int(code[1:], 16))
    return chr(int(code, 16))


def printable(text: str) -> str:
    """`text` for a terminal: line ends and other control characters become `?`."""
    return _CONTROL_ONLY.sub("?", text)
