"""Numbers as text: undefined is a dash, and a page's minus is as long as its plus."""

from __future__ import annotations

from pleura.lab.report.numbers import (
    count,
    number,
    percent,
    plain,
    signed,
    signed_percent,
    with_interval,
)


def test_on_terminals_numbers_are_ascii() -> None:
    assert (plain(0.12345), plain(-0.5, "+.1%"), plain(None)) == ("0.123", "-50.0%", "-")


def test_on_pages_dash_and_minus_are_typographic() -> None:
    assert (number(-1.25, 1), number(0.98765), number(None)) == ("−1.2", "0.988", "–")
    assert (signed(0.5, 2), signed(-0.5, 2), signed(None)) == ("+0.50", "−0.50", "–")
    assert (percent(0.125), percent(None)) == ("12.5%", "–")
    assert (signed_percent(-0.125), signed_percent(None)) == ("−12.5%", "–")


def test_an_interval_is_left_out_where_it_is_not_known() -> None:
    known = {"mean": 0.9, "mean_low": 0.8, "mean_high": 0.95}
    assert with_interval(known, 2) == "0.90 (0.80 to 0.95)"
    assert with_interval({**known, "mean_low": None}, 2) == "0.90"


def test_undefined_values_are_counted() -> None:
    assert count({"n": 3, "n_undefined": 0}) == "3"
    assert count({"n": 3, "n_undefined": 2}) == "3 + 2 undefined"
