"""What a reader is asked for, and what it gives: a film, and the header that DICOM results need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pleura.core.errors import FilmError
from pleura.core.types import Radiograph
from pleura.io.film_checks import MOST_PIXELS

if TYPE_CHECKING:
    from pleura.io.dicom.source import FilmHeader  # which loads pydicom

__all__ = ["DEFAULT", "NOT_DICOM", "DecodedFilm", "ReadOptions"]

NOT_DICOM = (
    "a DICOM result refers to the DICOM film it was made of, and this film is none; "
    "ask for other formats, or give the film as DICOM"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a film is read, whatever its format."""

    most_pixels: int = MOST_PIXELS
    """A film of more pixels is refused before it is decoded."""

    photographs: bool = False
    """Colour photographs of films are read too."""

    header: bool = False
    """Of a DICOM film, also what its results repeat: the patient, the study, the UIDs."""

    received: bool = False
    """A DICOM film came over the network: it must be complete, and no result of Pleura."""


DEFAULT = ReadOptions()
"""A film without its header."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFilm:
    """A film as read from its file, parsed once: the picture and, if asked for, the header."""

    radiograph: Radiograph
    """It carries no identity of a patient."""

    uid: str | None = None
    """SOPInstanceUID; None if the header was not asked for, or has none that is valid."""

    header: FilmHeader | None = None
    """What DICOM results of this film repeat."""

    no_header: FilmError | None = None
    """Why there is no header although it was asked for."""

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
