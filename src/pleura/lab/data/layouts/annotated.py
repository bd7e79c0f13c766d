"""The layout of films with annotation files: COCO, Labelme and CVAT.

The files lie beside the films, in the folder itself, or in a folder `annotations`, `labels` or
`masks`. One file may hold one film or many. A film belongs to the annotations of its name; its
suffix may differ, since annotation tools show DICOM films as PNG. The films lie in `images/`, or
anywhere in the folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pleura.core.errors import DataError, FilmError
from pleura.io.annotations.read import ANNOTATION_SUFFIXES, read_annotations
from pleura.io.annotations.shapes import AnnotatedFilm
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.data.layouts.files import pictures
from pleura.lab.data.layouts.structures import Meanings, named_parts, read_meanings

__all__ = [
    "EXPECTS",
    "FOLDERS",
    "AnnotationIndex",
    "annotation_files",
    "is_plain",
    "matches",
    "read",
]

EXPECTS = "films with COCO JSON, Labelme JSON or CVAT XML beside them or in annotations/"

FOLDERS = ("annotations", "Annotations", "labels", "images", "masks")
"""Folders in which annotation files are looked for, beside the data set's own."""


def matches(path: Path) -> bool:
    """Whether this is an annotation file, or a folder with one in it or in one of `FOLDERS`.

    A damaged file counts as one.
    """
    near = [
        file
        for file in annotation_files(path)
        if file == path
        or file.parent == path
        or any(file.is_relative_to(path / name) for name in FOLDERS)
    ]
    try:
        return any(read_annotations(file) is not None for file in near)
    except FilmError:
        return True  # a damaged one, which `read` names


def is_plain(path: Path) -> bool:
    """Whether a folder has no folders for images or annotations, as one of a patient's films."""
    return not any((path / name).is_dir() for name in FOLDERS)


def read(path: Path) -> list[Film]:
    """The films of the folder, sorted by id; of an annotation file those around it."""
    root = path if path.is_dir() else path.parent
    root = root.parent if root.name in FOLDERS else root
    folder = root / "images" if (root / "images").is_dir() else root
    index = AnnotationIndex(annotation_files(path), read_meanings(root))
    images = pictures(folder, nested=True)
    films = [
        Film(stem, root.resolve().name, image, index.parts_of(stem, image))
        for stem, image in images.items()
    ]
    if not any(film.masks for film in films):
        raise DataError(
            f"{root}: none of the {len(films)} films has annotations in {', '.join(index.files)}, "
            f"which are of {', '.join(index.names[:3])}; a film has the name of its annotations"
        )
    return films


def annotation_files(path: Path) -> list[Path]:
    """The files that may hold annotations: `path` itself, or those of the folder `path`."""
    if path.is_file():
        return [path] if path.suffix.lower() in ANNOTATION_SUFFIXES else []
    return [file for file in _files_of(path) if file.suffix.lower() in ANNOTATION_SUFFIXES]


def _files_of(folder: Path) -> Iterator[Path]:
    """All files in the folder and its folders, those of the folder itself first."""
    entries = sorted(folder.rglob("*"), key=lambda entry: (entry.parent != folder, entry))
    return (entry for entry in entries if not entry.name.startswith(".") and entry.is_file())


class AnnotationIndex:
    """The annotated films of several files, by name."""

    def __init__(self, files: Sequence[Path], meanings: Meanings) -> None:
        """Read the files; raises `DataError` for one that is damaged."""
        self._meanings = meanings
        self._by_name: dict[str, list[tuple[Path, AnnotatedFilm]]] = defaultdict(list)
        self.files: list[str] = []
        """The names of the annotation files among `files`."""

        self.names: list[str] = []
        """The names of the annotated films."""

        for path in files:
            films = _read(path)
            self.files += [] if films is None else [path.name]
            for film in films or ():
                self.names.append(film.name)
                for key in _keys(path, film, alone=len(films or ()) == 1):
                    self._by_name[key].append((path, film))

    def parts_of(self, stem: str, image: Path) -> tuple[MaskPart, ...]:
        """The parts of a film by its id or the name of its file; empty if it is not annotated.

        Raises `DataError` if films of several folders have this name, or a label is unknown.
        """
        for key in (stem.lower(), _stem(image.name)):
            entries = [entry for entry in self._by_name.get(key, ()) if entry[1].shapes]
            if len({film.name for _, film in entries}) > 1:
                names = ", ".join(f"{film.name} in {path.name}" for path, film in entries[:3])
                raise DataError(f"{image}: several annotated films may be this one: {names}")
            if entries:
                path, film = entries[0]
                return named_parts(path, film.labels, self._meanings, film=film.name)
        return ()


def _read(path: Path) -> tuple[AnnotatedFilm, ...] | None:
    try:
        return read_annotations(path)
    except FilmError as error:
        raise DataError(f"{path}: annotations cannot be read ({error})") from error


def _keys(path: Path, film: AnnotatedFilm, *, alone: bool) -> set[str]:
    """The names of films to which these annotations belong; that of the file, if it is alone."""
    whole = film.name.replace("\\", "/")
    keys = {_stem(whole.replace("/", "_")), _stem(whole.rpartition("/")[2])}
    return keys | {_stem(path.name).removesuffix("_coco")} if alone else keys


def _stem(name: str) -> str:
    """A file's name in lower case, without the suffix of a picture."""
    lower = name.lower().removesuffix(".gz")
    stem, _, suffix = lower.rpartition(".")
    return stem if stem and not suffix.isdecimal() else lower
