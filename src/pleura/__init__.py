"""Pleura finds the lungs in frontal chest radiographs.

    result = pleura.segment("film.png")
    result.mask                 # (H, W) bool
    result.overlay().save("overlay.png")

Names are loaded when first asked for: `import pleura` by itself loads neither engine nor torch.
"""

from __future__ import annotations

from pleura._version import __version__

TYPE_CHECKING = False  # as typing has it, whose import would double the time of `import pleura`

__all__ = [
    "Box",
    "Card",
    "DataError",
    "DiskFull",
    "Doubt",
    "Engine",
    "FilmError",
    "Measurements",
    "OnnxEngine",
    "OpenVinoEngine",
    "OutputError",
    "PleuraError",
    "Provenance",
    "Quality",
    "Radiograph",
    "Segmentation",
    "Segmenter",
    "Spacing",
    "UnreadableFilm",
    "UnsuitableFilm",
    "UsageError",
    "WeightsError",
    "__version__",
    "read_radiograph",
    "segment",
]

if TYPE_CHECKING:
    from pleura.api import (
        Box,
        Card,
        DataError,
        DiskFull,
        Doubt,
        Engine,
        FilmError,
        Measurements,
        OnnxEngine,
        OpenVinoEngine,
        OutputError,
        PleuraError,
        Provenance,
        Quality,
        Radiograph,
        Segmentation,
        Segmenter,
        Spacing,
        UnreadableFilm,
        UnsuitableFilm,
        UsageError,
        WeightsError,
        read_radiograph,
        segment,
    )


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'pleura' has no attribute {name!r}")
    from pleura import api

    value: object = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
