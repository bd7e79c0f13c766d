"""The patient of each film: from the data set, the DICOM header, or a pattern of the film's id."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pleura.core.errors import UsageError
from pleura.lab.data.film import Film

__all__ = ["PATTERNS", "dominant_patients", "shared_prefixes", "with_patients"]

MOST_FILMS = 20
"""The largest number of films that are taken for those of a patient by a short prefix."""

MANY_FILMS = 10
"""The smallest number of films of one stated patient that is reported."""

PATTERNS = "'^(.+)[-_. ]' takes all before the last part of a name, '^([^-_. ]+)' the first part"
"""Advice on patterns, for messages."""

_SEPARATOR = re.compile(r"[-_. ]")

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
    beside `P01_0`, but `film_1` and `film_2` do not. If no two ids differ in their last part alone,
    shorter prefixes count, such as `patient1` of `patient1_study1_frontal`, if they are shared by
    `MOST_FILMS` or fewer.
    """
    ids = [film.id for film in films if not film.patient]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        prefix = _LAST_PART.sub("", name)
        if prefix != name and _has_digit(prefix):
            groups[prefix].append(name)
    shared = {prefix: names for prefix, names in groups.items() if len(names) > 1}
    return (shared if len(groups) > 1 else {}) or _shared_beginnings(ids)


def _shared_beginnings(ids: Sequence[str]) -> dict[str, list[str]]:
    """The shortest beginning of each id, up to a separator, that a few ids have -> these ids."""
    beginnings = {name: [*_beginnings(name), name] for name in ids}
    counts = Counter(beginning for each in beginnings.values() for beginning in each)
    shared: dict[str, list[str]] = defaultdict(list)
    for name, each in beginnings.items():
        few = (b for b in each if _has_digit(b) and 1 < counts[b] <= MOST_FILMS)
        first = next(few, None)
        if first is not None and counts[first] < len(ids):
            shared[first].append(name)
    return dict(shared)


def _beginnings(name: str) -> list[str]:
    return [name[: match.start()] for match in _SEPARATOR.finditer(name) if match.start()]


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def dominant_patients(films: Sequence[Film]) -> dict[str, tuple[str, int]]:
    """Source -> (stated patient, films) of a patient who has most films of a source.

    De-identified DICOM files often have one PatientID for all. A patient with fewer than
    `MANY_FILMS` films is not reported.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for film in films:
        counts[film.source][film.patient] += 1
    found = {}
    for source, by_patient in counts.items():
        patient, count = by_patient.most_common(1)[0]
        if patient and count >= MANY_FILMS and 2 * count > by_patient.total():
            found[source] = (patient, count)
    return found
