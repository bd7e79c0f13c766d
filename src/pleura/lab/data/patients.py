"""The patient of each film: from the data set, the DICOM header, or a pattern of the film's id."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pleura.core.errors import UsageError
from pleura.lab.data.film import Film

__all__ = ["shared_prefixes", "with_patients"]

_LAST_PART = re.compile(r"[-_. ][A-Za-z]{0,8}\d{0,3}$")
"""The last part of an id that numbers the films of a patient, such as `_1`, `-PA` or `_view2`."""


def with_patients(films: Sequence[Film], pattern: str | None = None) -> list[Film]:
    """The films with their patients, as far as they are known.

    `pattern` is a regular expression that is searched in each id: the patient is its first group,
    or else all that it matches. Without it, the patient of a DICOM film whose data set states none
    is the PatientID of its header.

    Raises `UsageError` if the pattern is no regular expression, or does not match every id.
    """
    if pattern is None:
        from pleura.io.dicom.patient import patient_id  # imports pydicom

        return [
            film if film.patient else replace(film, patient=patient_id(film.image))
            for film in films
        ]
    try:
        matches = [re.search(pattern, film.id) for film in films]
    except re.error as error:
        raise UsageError(
            f"--patient-pattern {pattern!r} is no regular expression ({error}); an example is "
            "'^(.+)_' for all before the last _"
        ) from error
    unmatched = [film.id for film, match in zip(films, matches, strict=True) if not match]
    if unmatched:
        raise UsageError(
            f"--patient-pattern {pattern!r} matches {len(films) - len(unmatched)} of {len(films)} "
            f"ids; it does not match {', '.join(unmatched[:3])}"
        )
    names = [match.groups()[0] if match.groups() else match[0] for match in matches if match]
    return [replace(film, patient=name) for film, name in zip(films, names, strict=True)]


def shared_prefixes(films: Sequence[Film]) -> dict[str, list[str]]:
    """Prefix -> ids of the films that share it, if their patients are not stated.

    Only prefixes with a digit count, and only if there are several: `P00_0` and `P00_1` share one
    beside `P01_0`, but `film_1` and `film_2` do not.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for film in films:
        prefix = _LAST_PART.sub("", film.id)
        if not film.patient and prefix != film.id and any(map(str.isdigit, prefix)):
            groups[prefix].append(film.id)
    shared = {prefix: ids for prefix, ids in groups.items() if len(ids) > 1}
    return shared if len(groups) > 1 else {}
