"""Making the DICOM results of a DICOM film."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import UID, SecondaryCaptureImageStorage

from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UnsuitableFilm, UsageError
from pleura.core.types import Provenance, Segmentation
from pleura.io.decoding import quietly
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.objects.common import result_uid
from pleura.io.dicom.objects.earlier import EarlierReport
from pleura.io.dicom.source import FilmHeader, film_header

__all__ = ["check_dicom_formats", "dicom_bytes", "dicom_failure", "dicom_results", "result_uids"]

SEVERAL_FRAMES = tuple(f"1.2.840.10008.5.1.4.1.1.7.{last}" for last in (2, 3, 4))
"""Classes of secondary capture that may hold several frames; a film holds one."""

_SEGS = ("dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap")


def dicom_results(
    source: FilmHeader | Dataset | bytes | Path | str,
    segmentation: Segmentation,
    formats: Iterable[str],
    *,
    earlier: Sequence[EarlierReport] = (),
) -> list[Dataset]:
    """DICOM objects of a result, one for each of `formats`, in the order of `DICOM_FORMATS`.

    `source` is the DICOM film that was segmented: the header that was read with it, its path, its
    bytes, or its data set; its pixels are not read. Each object lies in the film's study, in a new
    series of its own, and refers to the film; a report also refers to a Segmentation that is made
    with it, and names the reports `earlier` of the same film as its predecessors; a key object
    selection names the film and the other objects. UIDs depend on
    the film's UID, the version and the weights: the same film with the same weights gives the same
    UIDs (`result_uids` gives them without segmenting).
    `dicom_bytes` turns an object into a file.

    Raises:
        UsageError: an unknown format, or highdicom (extra `pacs`) is not installed.
        UnreadableFilm, UnsuitableFilm: `source` is not a DICOM film that a result can refer to, or
            not the film that was segmented.
    """
    names = check_dicom_formats(formats)
    header = film_header(source)
    _check_same_size(header.film, segmentation)
    results: dict[str, Dataset] = {}
    film = _single_frame(header.film)
    with quietly():
        for name in names:
            uid_name = _uid_name(name, names)
            results[name] = _result(uid_name, film, segmentation, others=results, earlier=earlier)
        for result in results.values():
            _set_referenced_class(result, header.film)
        return [header.add_patient_to(result) for result in results.values()]


def result_uids(
    source: FilmHeader | Dataset | bytes | Path | str,
    provenance: Provenance,
    formats: Iterable[str],
) -> list[UID]:
    """The SOPInstanceUIDs that `dicom_results` would give, in its order, without segmenting."""
    film_uid = film_header(source).film.SOPInstanceUID
    names = check_dicom_formats(formats)
    return [result_uid(film_uid, provenance, _uid_name(name, names)) for name in names]


def dicom_failure(
    source: FilmHeader | Dataset | bytes | Path | str,
    reason: str,
    made_by: Provenance,
    *,
    earlier: Sequence[EarlierReport] = (),
) -> Dataset:
    """A report that the film of `source` was not segmented, in its study; see `dicom_results`."""
    from pleura.io.dicom.objects.sr import dicom_failure_report

    header = film_header(source)
    with quietly():
        film = _single_frame(header.film)
        report = dicom_failure_report(film, reason, made_by=made_by, earlier=earlier)
        _set_referenced_class(report, header.film)
        return header.add_patient_to(report)


def dicom_bytes(result: Dataset) -> bytes:
    """A DICOM object as the bytes of its file."""
    file = BytesIO()
    with quietly():
        dcmwrite(file, result, enforce_file_format=True)
    return file.getvalue()


def check_dicom_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, each once, in the order of `DICOM_FORMATS`; `UsageError` for an unknown one."""
    requested = set(formats)
    for name in sorted(requested - set(DICOM_FORMATS)):
        raise UsageError(f"there is no DICOM format {name!r}; {did_you_mean(name, DICOM_FORMATS)}")
    return tuple(name for name in DICOM_FORMATS if name in requested)


def _uid_name(name: str, names: tuple[str, ...]) -> str:
    """The name that enters the UID; an object that refers to others has one with their names."""
    if name == "dicom-sr":
        seg = next((key for key in _SEGS if key in names), None)
        return f"{name}+{seg}" if seg else name
    if name == "dicom-kos":
        return "+".join((name, *(_uid_name(key, names) for key in names if key != name)))
    return name


def _result(
    name: str,
    film: Dataset,
    segmentation: Segmentation,
    *,
    others: Mapping[str, Dataset],
    earlier: Sequence[EarlierReport],
) -> Dataset:
    """Make one object; `others` are those of earlier formats, by format.

    highdicom (extra `pacs`) is imported here, as that takes a second.
    """
    try:
        from pleura.io.dicom.objects.gsps import dicom_gsps
        from pleura.io.dicom.objects.kos import dicom_kos
        from pleura.io.dicom.objects.sc import dicom_sc
        from pleura.io.dicom.objects.seg import dicom_seg
        from pleura.io.dicom.objects.sr import dicom_sr
    except ModuleNotFoundError as error:
        raise UsageError(
            f"DICOM results need {error.name}, which is not installed; it comes with the extra "
            "'pacs': pip install \"pleura[pacs]\""
        ) from error
    if name.startswith("dicom-sr"):
        seg = next((others[key] for key in _SEGS if key in others), None)
        return dicom_sr(film, segmentation, name=name, seg=seg, earlier=earlier)
    if name.startswith("dicom-kos"):
        return dicom_kos(film, segmentation, name=name, results=list(others.values()))
    write = {"dicom-sc": dicom_sc, "dicom-gsps": dicom_gsps}.get(name, dicom_seg)
    return write(film, segmentation, name=name)


def _single_frame(film: Dataset) -> Dataset:
    """The header with a SOP class of one frame.

    For classes of several frames highdicom requires attributes that a film does not have.
    """
    if film.SOPClassUID not in SEVERAL_FRAMES:
        return film
    single = Dataset()
    single.update(film)
    single.add_new("SOPClassUID", "UI", SecondaryCaptureImageStorage)  # does not change `film`
    return single


def _set_referenced_class(result: Dataset, film: Dataset) -> None:
    """Set the film's own SOP class in every reference to the film."""
    for element in result.iterall():
        for item in element.value if element.VR == "SQ" else ():
            if item.get("ReferencedSOPInstanceUID") == film.SOPInstanceUID:
                item.ReferencedSOPClassUID = film.SOPClassUID


def _check_same_size(film: Dataset, segmentation: Segmentation) -> None:
    size, segmented = (film.Rows, film.Columns), segmentation.radiograph.size
    if size != segmented:
        raise UnsuitableFilm(
            f"the DICOM film has {size[0]} x {size[1]} pixels, but the one that was segmented "
            f"{segmented[0]} x {segmented[1]}; give the same film"
        )
