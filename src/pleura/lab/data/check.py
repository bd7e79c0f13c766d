"""Checking a data set: every film and mask is opened, and films are compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import DataError, FilmError, UsageError
from pleura.io.annotations.read import ANNOTATION_SUFFIXES, read_annotations
from pleura.lab.data.checks.border import (
    BLOCK,
    CLEAR,
    LOOSE,
    BorderView,
    border_view,
    exchanged,
    misplaced,
)
from pleura.lab.data.checks.duplicates import (
    Thumbnail,
    mask_digest,
    same_bytes,
    shared_masks,
    similar_films,
    thumbnail,
)
from pleura.lab.data.checks.masks import (
    check_channels,
    check_files,
    check_labels,
    check_sizes,
    empty_structures,
    lies_in_one_half,
    lungs_of,
)
from pleura.lab.data.film import Film, with_masks
from pleura.lab.data.findings import (
    ERRORS,
    CheckReport,
    Finding,
    summarise,
    unlisted_pictures,
    unused_annotations,
)
from pleura.lab.data.layouts import read_films
from pleura.lab.data.layouts.files import MASK_SUFFIXES, belongs_to, is_picture
from pleura.lab.data.layouts.folder import mask_folder
from pleura.lab.data.patients import dominant_patients, shared_prefixes
from pleura.lab.data.split import NAMES
from pleura.runtime.threads import usable_cpus

__all__ = ["check", "errors_by_film", "require_sound"]

HIDES_THE_BORDER = frozenset(
    {
        *("empty-mask", "full-mask", "inverted-mask", "bright-ground", "several-values"),
        *("other-aspect", "implausible-area", "half-labelled"),
    }
)
"""Findings that explain why a mask does not fit its film, or is that of another film too."""

DOES_NOT_FIT = ("loose-border", "misplaced-mask", "mask-of-another-film")
"""Findings about a mask whose border is not that of the lungs of its film."""

FEWEST_ALIKE = 3
"""The fewest films of a source whose masks have a fault in common for it to be one of the set."""

LEVELS = 4
"""How many folders above a film a folder of masks is looked for."""

SHOWN_ERRORS = 8
"""The largest number of errors in a message."""


@dataclass(frozen=True, slots=True, eq=False)
class _CheckedFilm:
    """The result of checking one film."""

    findings: tuple[Finding, ...]
    size: tuple[int, int] | None = None
    thumbnail: Thumbnail | None = None
    border: BorderView | None = None
    mask: bytes | None = None
    """A digest of the mask of both lungs."""

    empty: frozenset[str] = frozenset()
    """The labelled structures that have no pixel, in a mask that is not empty."""

    one_sided: bool = False
    """Whether the mask of both lungs lies in one half of the film."""


def check(
    films: Sequence[Film] | str | Path,
    *,
    accepted: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> CheckReport:
    """Check a data set: films of `read_films`, or the path for it.

    Errors of the kinds `accepted` become warnings. `on_film` is called after each film. Films and
    masks that cannot be read are findings. Raises `DataError` if the path holds no data set, and
    `UsageError` if `accepted` has a kind that is no error.
    """
    if isinstance(films, str | Path):
        films = read_films(films)
    _check_accepted(accepted)
    checked = _check_films(films, on_film)
    findings = [finding for film in checked for finding in film.findings]
    findings += unlisted_pictures(films, _pictures_in_folders(films))
    findings += unused_annotations(films)
    findings += _unread_masks(films)
    if films and not with_masks(films):
        findings.append(Finding("no-mask", ", ".join(sorted({film.source for film in films}))))
    findings += _duplicates(films, [film.thumbnail for film in checked])
    findings += _divided_patients(films)
    findings += [
        Finding("shared-prefix", prefix, ", ".join(ids))
        for prefix, ids in shared_prefixes(films).items()
    ]
    findings += [
        Finding("one-patient", source, f"{patient}: {count} films")
        for source, (patient, count) in dominant_patients(films).items()
    ]
    findings = [replace(finding, accepted=finding.kind in accepted) for finding in findings]
    return summarise(films, (film.size for film in checked), findings)


def errors_by_film(
    films: Sequence[Film],
    *,
    accepted: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> dict[int, str]:
    """Index of a film -> the errors of its film and masks, as `check` finds them."""
    _check_accepted(accepted)
    errors = {}
    for index, film in enumerate(_check_films(films, on_film)):
        lines = [
            f"{finding.kind}: {finding.detail or finding.meaning}"
            for finding in film.findings
            if finding.level == "error" and finding.kind not in accepted
        ]
        if lines:
            errors[index] = "; ".join(lines)
    return errors


def require_sound(
    films: Sequence[Film],
    *,
    accepted: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> None:
    """Raise `DataError` for errors in the films to train and to validate on.

    A file that is also that of a test film is no error here: training leaves it out.
    """
    used = [film for film in with_masks(films) if film.split != "test"]
    errors = errors_by_film(used, accepted=accepted, on_film=on_film)
    lines = [f"{used[index].id}: {text}" for index, text in errors.items()]
    if "patient-across-splits" not in accepted:
        divided = list(_divided_patients(with_masks(films)))
        lines += [f"{finding.where}: {finding.kind}: {finding.detail}" for finding in divided]
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:SHOWN_ERRORS])
        more = len(lines) - SHOWN_ERRORS
        raise DataError(
            f"{len(lines)} errors in the films and masks:{shown}"
            + (f"\n  ... and {more} more" if more > 0 else "")
            + "\nsee `pleura data check`; correct them, or accept a kind with --accept KIND"
        )


def _check_accepted(accepted: Collection[str]) -> None:
    for kind in accepted:
        if kind not in ERRORS:
            raise UsageError(f"no error is called {kind!r}; {did_you_mean(kind, ERRORS)}")


def _check_films(films: Sequence[Film], on_film: Callable[[], None]) -> list[_CheckedFilm]:
    """Check each film and its masks, and compare the masks with other films and their masks."""

    def check_one(film: Film) -> _CheckedFilm:
        result = _check_film(film)
        on_film()
        return result

    checked: list[_CheckedFilm] = []
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for start in range(0, len(films), BLOCK):
            block = films[start : start + BLOCK]
            results = list(pool.map(check_one, block))
            borders = dict(_check_borders(block, [result.border for result in results]))
            checked += [
                replace(result, findings=(*result.findings, *borders.get(index, ())), border=None)
                for index, result in enumerate(results)
            ]
    digests, pictures = [one.mask for one in checked], [one.thumbnail for one in checked]
    for index, other in shared_masks(digests, pictures):
        found = Finding("shared-mask", films[index].id, f"{films[other].id} has it too")
        checked[index] = replace(checked[index], findings=(*checked[index].findings, found))
    checked = _with_unrelated_masks(films, _with_unused_labels(films, checked))
    return _with_half_labelled(films, checked)


def _with_half_labelled(films: Sequence[Film], checked: list[_CheckedFilm]) -> list[_CheckedFilm]:
    """Add errors to masks in one half of their film, if most masks of the source are such."""
    sides: dict[str, list[bool]] = defaultdict(list)
    for film, one in zip(films, checked, strict=True):
        if one.mask is not None:
            sides[film.source].append(one.one_sided)
    half = {
        source
        for source, each in sides.items()
        if len(each) >= FEWEST_ALIKE and 2 * sum(each) > len(each)
    }
    found = "the mask lies in one half of the film, as most masks of its source"
    return [
        replace(one, findings=(*one.findings, Finding("half-labelled", film.id, found)))
        if one.one_sided and film.source in half
        else one
        for film, one in zip(films, checked, strict=True)
    ]


def _with_unrelated_masks(films: Sequence[Film], checked: list[_CheckedFilm]) -> list[_CheckedFilm]:
    """Make errors of loose borders where more than half of the masks of a source do not fit."""
    loose: dict[str, list[bool]] = defaultdict(list)
    for film, one in zip(films, checked, strict=True):
        if one.mask is not None:  # its border was compared with the film
            loose[film.source].append(any(found.kind in DOES_NOT_FIT for found in one.findings))
    unrelated = {
        source
        for source, each in loose.items()
        if len(each) >= FEWEST_ALIKE and 2 * sum(each) > len(each)
    }
    return [
        replace(
            one,
            findings=tuple(
                replace(found, kind="unrelated-mask") if found.kind == "loose-border" else found
                for found in one.findings
            ),
        )
        if film.source in unrelated
        else one
        for film, one in zip(films, checked, strict=True)
    ]


def _with_unused_labels(films: Sequence[Film], checked: list[_CheckedFilm]) -> list[_CheckedFilm]:
    """Add findings about structures that are stated but empty in every film of their source."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, film in enumerate(films):
        for channel in film.channels:
            counts[film.source, channel].append(index)
    unused = defaultdict(list)
    for (_, channel), indices in sorted(counts.items()):
        if len(indices) >= FEWEST_ALIKE and all(
            channel in checked[index].empty for index in indices
        ):
            for index in indices:
                unused[index].append(channel)
    return [
        replace(
            one,
            findings=(
                *(found for found in one.findings if found.kind != "empty-structure"),
                Finding("unused-label", films[index].id, ", ".join(unused[index])),
            ),
        )
        if index in unused
        else one
        for index, one in enumerate(checked)
    ]


def _check_film(film: Film) -> _CheckedFilm:
    findings = list(check_channels(film))
    size = small = pixels = border = digest = None
    empty, one_sided = frozenset[str](), False
    try:
        pixels = film.read_image().pixels
        size, small = pixels.shape, thumbnail(pixels)
    except (FilmError, OSError) as error:
        findings.append(Finding("unreadable-film", film.id, str(error)))
    if film.channels:
        try:
            masks = film.read_masks()
            labels = film.labels_of(masks)
        except DataError as error:
            findings.append(Finding("unreadable-mask", film.id, str(error)))
        else:
            findings += check_files(film, masks)
            findings += check_labels(film.id, labels)
            empty = empty_structures(labels)
            findings += check_sizes(film.id, size, labels.size)
            lungs, kinds = lungs_of(labels), {finding.kind for finding in findings}
            if lungs is not None and pixels is not None and not kinds & HIDES_THE_BORDER:
                border, digest = border_view(pixels, lungs), mask_digest(lungs)
                one_sided = not empty and lies_in_one_half(lungs)
    return _CheckedFilm(tuple(findings), size, small, border, digest, empty, one_sided)


def _check_borders(
    films: Sequence[Film], views: Sequence[BorderView | None]
) -> Iterator[tuple[int, tuple[Finding]]]:
    """Index -> a finding about a mask whose border is not that of the lungs of its film."""
    other = {film: (mask, contrast) for film, mask, contrast in exchanged(views)}
    for index, (film, view) in enumerate(zip(films, views, strict=True)):
        if view is None:
            continue
        place, fit = misplaced(view) or ("", -1.0)
        mask, other_fit = other.get(index, (index, -1.0))
        if other_fit > fit:
            detail = f"that of {films[mask].id} fits it"
            yield index, (Finding("mask-of-another-film", film.id, detail),)
        elif place:
            yield index, (Finding("misplaced-mask", film.id, f"it fits if it is {place}"),)
        elif view.contrast <= -CLEAR:
            yield index, (Finding("negative-film", film.id),)
        elif view.contrast < LOOSE:
            yield index, (Finding("loose-border", film.id),)


def _pictures_in_folders(films: Sequence[Film]) -> list[Path]:
    """All pictures in the folders of films and masks."""
    paths = [film.image for film in films] + [part.path for film in films for part in film.masks]
    folders = dict.fromkeys(path.absolute().parent for path in paths)
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if is_picture(path, MASK_SUFFIXES) or _is_annotation(path)
    ]


def _unread_masks(films: Sequence[Film]) -> Iterator[Finding]:
    """Findings about files that are named as masks of films without one, in unknown formats."""
    without = [film for film in films if not film.masks]
    stems = {film.id for film in without} | {film.image.stem for film in without}
    near = dict.fromkeys(folder for film in without for folder in film.image.parents[:LEVELS])
    for folder in filter(None, map(mask_folder, near)):
        for path in sorted(folder.rglob("*")):
            known = is_picture(path, MASK_SUFFIXES) or path.suffix.lower() in ANNOTATION_SUFFIXES
            if path.suffix and not known and belongs_to(path, stems) and path.is_file():
                yield Finding("unread-mask", str(path), f"{path.suffix} is not read")


def _is_annotation(path: Path) -> bool:
    try:
        return path.suffix.lower() in ANNOTATION_SUFFIXES and read_annotations(path) is not None
    except FilmError:
        return True  # a damaged one


def _duplicates(films: Sequence[Film], thumbnails: Sequence[Thumbnail | None]) -> Iterator[Finding]:
    reported: set[frozenset[int]] = set()
    for group in same_bytes([film.image for film in films]):
        reported |= {frozenset((a, b)) for a in group for b in group}
        parts = {films[index].split for index in group} & set(NAMES)
        kind = "duplicate-across-splits" if len(parts) > 1 else "duplicate"
        first, *others = (_with_split(films[index]) for index in group)
        yield Finding(kind, films[group[0]].id, " = ".join((first, *others)))
    split = [index for index, film in enumerate(films) if film.split in NAMES]
    readable = [index for index in split if thumbnails[index] is not None]
    small = [picture for index in readable if (picture := thumbnails[index]) is not None]
    for a, b, similarity in similar_films(small):
        film, other = films[readable[a]], films[readable[b]]
        if film.split != other.split and frozenset((readable[a], readable[b])) not in reported:
            detail = f"{_with_split(film)} ~ {_with_split(other)}, similarity {similarity:.3f}"
            yield Finding("near-duplicate-across-splits", film.id, detail)


def _divided_patients(films: Sequence[Film]) -> Iterator[Finding]:
    parts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for film in films:
        if film.split in NAMES:
            parts[film.source, film.patient or film.id].setdefault(str(film.split), film.id)
    for (source, patient), by_part in sorted(parts.items()):
        if len(by_part) > 1:
            examples = ", ".join(f"{name} ({part})" for part, name in sorted(by_part.items()))
            yield Finding("patient-across-splits", f"{source} {patient}", examples)


def _with_split(film: Film) -> str:
    return f"{film.id} ({film.split or 'no split'})"
