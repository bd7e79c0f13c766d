"""A report page as one HTML file: tables, a picture, notes and provenance."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

__all__ = ["Page", "Table", "count", "number", "percent", "signed", "with_interval"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells; the first column has the names of the rows."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The content of a page. The HTML needs no other file, no scripts and no network."""

    title: str
    lead: str
    tables: tuple[Table, ...]
    notes: dict[str, str]
    made: dict[str, str]
    """The provenance."""

    picture: bytes = b""
    """A PNG file; empty for none."""

    caption: str = ""

    def html(self) -> str:
        """The page as one HTML file."""
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        source = (
            resources.files("pleura.lab.report")
            .joinpath("page.html.j2")
            .read_text(encoding="utf-8")
        )
        inline = base64.b64encode(self.picture).decode("ascii")
        return environment.from_string(source).render(page=self, picture=inline)


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for what is undefined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share."""
    return "–" if value is None else f"{value:.1%}".replace("-", "−")


def count(figures: dict[str, Any]) -> str:
    """How many values a figure stands on, and how many more are undefined."""
    more = f" + {figures['n_undefined']} undefined" if figures["n_undefined"] else ""
    return f"{figures['n']}{more}"


def with_interval(figures: dict[str, Any], digits: int = 3) -> str:
    """A mean and, where it is known, its interval."""
    if figures["mean_low"] is None:
        return number(figures["mean"], digits)
    ends = f"{number(figures['mean_low'], digits)} to {number(figures['mean_high'], digits)}"
    return f"{number(figures['mean'], digits)} ({ends})"
