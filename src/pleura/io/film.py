"""Options of reading a film, and its result: the film and the header that DICOM results need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pleura.core.errors import FilmError
from pleura.core.types import Radiograph
from pleura.io.film_checks import MAX_PIXELS

if TYPE_CHECKING:
    from pleura.io.dicom.source import FilmHeader  # which loads pydicom

__all__ = ["DEFAULT", "NOT_DICOM", "DecodedFilm", "ReadOptions"]

NOT_DICOM = (
    "a DICOM result refers to a DICOM film, and this film is not DICOM; "
    "ask for other formats, or give the film as DICOM"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a film is read, whatever its format."""

    most_pixels: int = MAX_PIXELS
    """A film with more pixels is rejected before it is decoded."""

    photographs: bool = False
    """Whether colour photographs of films are read too."""

    header: bool = False
    """Whether a DICOM film's header (patient, study, UIDs) is read too, for DICOM results."""

    received: bool = False
    """Whether a DICOM film came over the network: it must be complete and not made by Pleura."""


DEFAULT = ReadOptions()
"""The usual options: the film without its header."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFilm:
    """A film as read from its file: the picture and, if requested, the header."""

    radiograph: Radiograph
    """The picture; it contains no patient data."""

    uid: str | None = None
    """SOPInstanceUID; None if the header was not requested, or has no valid one."""

    header: FilmHeader | None = None
    """The header that DICOM results of this film repeat; None if not requested or not usable."""

    no_header: FilmError | None = None
    """Why there is no header although it was requested."""

    def dicom_header(self) -> FilmHeader:
        """The header, for DICOM results.

        Raises:
            UnsuitableFilm, UnreadableFilm: no DICOM result can refer to this film.
        """
        if self.no_header is not None:
            raise type(self.no_header)(str(self.no_header))
        if self.header is None:
            raise ValueError("this film was read without its header; set ReadOptions.header")
        return self.header
