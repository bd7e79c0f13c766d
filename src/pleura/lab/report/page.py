"""A report page as one HTML file: tables, a picture, notes and provenance."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, StrictUndefined

__all__ = ["Page", "Table"]


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
