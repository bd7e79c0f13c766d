from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.io.run.cells import name_cell, name_in, printable, readable, text_cell, text_in

TRICKY = st.text(
    st.sampled_from([*"=+-@';% 25aA0xF", "\udc80", "\udcff", "\t", "\n", "\r", "\0", "\x85", "＝"])
)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("ward/film.png", "ward/film.png"),
        ("=1+1", "'=1+1"),
        ("+a", "'+a"),
        ("-a", "'-a"),
        ("@a", "'@a"),
        ("'=a", "''=a"),  # its own apostrophe stays beside ours
        ("'a", "'a"),
        (" =a", "' =a"),
        ("a;=b", "a;'=b"),  # a column of its own where a comma is the decimal point
        ("＝a", "'＝a"),
        ("\t=a", "%09=a"),
        ("a\nb", "a%0Ab"),
        ("a%0Ab", "a%250Ab"),
        ("100%25", "100%2525"),
        ("5%", "5%"),
        ("\x1b[2J", "%1B[2J"),
        ("na\udcefve", "na%xEFve"),  # the byte 0xEF: "naïve" in Latin-1
        ("na%xEFve", "na%25xEFve"),
        ("%x7F", "%x7F"),  # 0x7F is ASCII, and no byte that is not UTF-8
    ],
)
def test_a_name_as_a_cell_and_back(name: str, cell: str) -> None:
    assert name_cell(name) == cell
    assert name_in(cell) == name


@given(st.text() | TRICKY)
def test_every_name_is_read_back(name: str) -> None:
    cell = name_cell(name)
    assert name_in(cell) == name
    assert "\n" not in cell
    cell.encode("utf-8")  # fails if a surrogate is left
    assert not any(part.lstrip().startswith(tuple("=+-@")) for part in cell.split(";"))


@given(TRICKY)
def test_text_keeps_all_but_control_characters_and_bytes_that_are_not_utf8(text: str) -> None:
    cell = text_cell(text)
    assert text_in(cell) == "".join(
        " " if character in "\t\n\r\0\x85" else character for character in readable(text)
    )
    assert not any(part.lstrip().startswith(tuple("=+-@")) for part in cell.split(";"))


def test_control_characters_are_not_printed() -> None:
    assert printable("a\n\x1b[2Jb\x9b") == "a??[2Jb?"
