"""A hatchling hook: the README of a release, with links that work outside the repository.

With PLEURA_REPOSITORY (https://HOST/OWNER/pleura) in the environment, links and pictures of
README.md become absolute, it links to the notebook on Colab, and the package has project URLs.
Without it the README is unchanged.
"""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "PLEURA_REPOSITORY"
PICTURES = (".png", ".jpg", ".svg", ".gif")
URLS = {
    "Documentation": "/tree/main/docs",
    "Changelog": "/blob/main/CHANGELOG.md",
    "Issues": "/issues",
}


def absolute_links(text: str, repository: str) -> str:
    """The text with every relative link and picture under `repository`."""

    def target(match: re.Match[str]) -> str:
        start, path, end = match.groups()
        kind = "raw" if Path(path.partition("#")[0]).suffix in PICTURES else "blob"
        return f"{start}{repository}/{kind}/main/{path}{end}"

    relative = r"(?!https?:|mailto:|#)([^)\s\"]+)"
    text = re.sub(rf"(\]\(){relative}(\))", target, text)
    return re.sub(rf"(src=\"){relative}(\")", target, text)


class ReadmeHook(MetadataHookInterface):
    """Sets the README, and the URLs if the repository is known."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` and `urls` in place."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = os.environ.get(VARIABLE, "").rstrip("/")
        if repository:
            links = runpy.run_path(str(Path(self.root) / "packaging" / "links.py"))
            text = absolute_links(links["linked_to_colab"](text, repository), repository)
            pages = {name: repository + path for name, path in URLS.items()}
            metadata["urls"] = {"Repository": repository, **pages}
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
