"""Numbers as text: with typographic dash and minus for pages, in ASCII for terminals."""

from __future__ import annotations

from typing import Any

__all__ = [
    "count",
    "number",
    "percent",
    "plain",
    "ratio_cells",
    "signed",
    "signed_percent",
    "with_interval",
]


def plain(value: float | None, form: str = ".3f") -> str:
    """A number in one of Python's formats, `-` where it is undefined; for terminals."""
    return "-" if value is None else format(value, form)


def _printed(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form).replace("-", "−")


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where it is undefined."""
    return _printed(value, f".{digits}f")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign."""
    return _printed(value, f"+.{digits}f")


def percent(value: float | None) -> str:
    """A share."""
    return _printed(value, ".1%")


def signed_percent(value: float | None) -> str:
    """A difference of shares, with its sign."""
    return _printed(value, "+.1%")


def count(figures: dict[str, Any]) -> str:
    """How many values a figure is computed from, and how many are undefined."""
    more = f" + {figures['n_undefined']} undefined" if figures["n_undefined"] else ""
    return f"{figures['n']}{more}"


def with_interval(figures: dict[str, Any], digits: int = 3) -> str:
    """A mean and, where it is known, its interval."""
    if figures["mean_low"] is None:
        return number(figures["mean"], digits)
    ends = f"{number(figures['mean_low'], digits)} to {number(figures['mean_high'], digits)}"
    return f"{number(figures['mean'], digits)} ({ends})"


def ratio_cells(figures: dict[str, Any]) -> tuple[str, ...]:
    """Films, bias, limits, mean absolute error and share far off, as text."""
    limits = f"{signed(figures['low'])} to {signed(figures['high'])}"
    error = number(figures["mean_absolute_error"])
    far_off = percent(figures["share_far_off"])
    return (count(figures), signed(figures["bias"]), limits, error, far_off)
