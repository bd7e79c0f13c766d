"""The options that `pleura node` and `pleura dicomweb` share, and the formats of their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pleura.apps.cli.options import (
    DicomFormats,
    Flip,
    Lungs,
    LungsOption,
    RefusedOption,
    RefusedResults,
    Threads,
    Weights,
)

if TYPE_CHECKING:
    from pleura.apps.pacs.results import ResultMaker

__all__ = ["ResultOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOptions:
    """How films are segmented, and which DICOM results are made of them."""

    formats: DicomFormats = None
    refused: RefusedOption = RefusedResults.marked
    lungs: LungsOption = Lungs.field
    flip: Flip = False
    weights: Weights = None
    threads: Threads = None

    def names(self) -> tuple[str, ...]:
        """The formats; `UsageError` for an unknown one, before the weights are opened."""
        from pleura.apps.pacs.results import read_formats

        return read_formats(self.formats)

    def maker(self) -> ResultMaker:
        """Open the weights and return what makes the results of a film.

        Raises:
            UsageError: an unknown format, or the choice does not go with these weights.
            WeightsError: the weights are missing, altered, or no weights.
        """
        from pleura.apps.cli.engines import open_engine
        from pleura.apps.pacs.results import ResultMaker
        from pleura.runtime.segmenter import Segmenter

        names = self.names()
        engine = open_engine(*(self.weights or ()), threads=self.threads)
        segmenter = Segmenter(engine, definition=self.lungs.value, flip=self.flip)
        return ResultMaker(segmenter, names, self.refused.value)
