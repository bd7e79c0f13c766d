"""Writes the address of the repository into the pages and the notebook that need it.

    PLEURA_REPOSITORY=https://github.com/OWNER/pleura python packaging/links.py

The README and the how-to then link to the notebook on Colab, and the notebook installs Pleura from
the repository. Without the variable these are taken out again. Colab opens notebooks of GitHub
alone: with another host there is no link.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
VARIABLE = "PLEURA_REPOSITORY"
NOTEBOOK = "examples/train_on_colab.ipynb"
PAGES = ("README.md", "docs/how-to/train-on-your-films.md")
PLACE = re.compile(r"(?<=<!-- colab -->).*?(?=<!-- /colab -->)")
SOURCE = re.compile(r'(?<="repository = \\").*?(?=\\")')


def colab_link(repository: str) -> str:
    """The link to the notebook on Colab, in Markdown; empty unless the repository is on GitHub."""
    on_github = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", repository)
    if on_github is None:
        return ""
    address = f"https://colab.research.google.com/github/{on_github[1]}/blob/main/{NOTEBOOK}"
    return f" ([open it in Colab]({address}))"


def linked_to_colab(page: str, repository: str) -> str:
    """The page with the link to Colab in its place, or with none."""
    return PLACE.sub(colab_link(repository), page)


def write_links(root: Path, repository: str) -> None:
    """Write the address into the files under `root`, or take it out if it is empty."""
    for name in PAGES:
        _replace(root / name, PLACE, colab_link(repository))
    _replace(root / NOTEBOOK, SOURCE, repository)


def _replace(path: Path, place: re.Pattern[str], text: str) -> None:
    changed, places = place.subn(lambda _: text, path.read_text(encoding="utf-8"))
    if places != 1:
        raise SystemExit(f"{path} has {places} places for the address; expected 1")
    path.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    write_links(CHECKOUT, os.environ.get(VARIABLE, "").rstrip("/"))
