"""Pleura finds the lungs in frontal chest radiographs.

    result = pleura.segment("film.png")
    result.mask                 # (H, W) bool
    result.overlay().save("overlay.png")

The public names are those of `pleura.api` and `pleura.apps.segment.folder`, which are loaded when
one of their names is first used: `import pleura` by itself loads neither engine nor torch.
"""

from __future__ import annotations

from pleura._version import __version__ as __version__

TYPE_CHECKING = False  # as typing has it, whose import would double the time of `import pleura`

if TYPE_CHECKING:
    from pleura.api import *  # noqa: F403 - the public names stand in `pleura.api` alone
    from pleura.apps.segment.folder import FolderResults as FolderResults
    from pleura.apps.segment.folder import segment_folder as segment_folder

_OF_FOLDERS = ("FolderResults", "segment_folder")


def __getattr__(name: str) -> object:
    """Load a public name, or the list of them, on first use (PEP 562)."""
    if name == "__all__":
        return _public_names()
    if name.startswith("__") or name not in _public_names():
        raise AttributeError(f"module 'pleura' has no attribute {name!r}")
    from importlib import import_module

    module = "pleura.apps.segment.folder" if name in _OF_FOLDERS else "pleura.api"
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_public_names()})


def _public_names() -> list[str]:
    from pleura.api import __all__

    return [*__all__, *_OF_FOLDERS, "__version__"]
