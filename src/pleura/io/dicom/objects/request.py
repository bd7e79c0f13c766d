"""The request that a film was made for: its order, procedure and codes, repeated in results.

Text stays as the bytes in the film's file, as that of patient and study does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from pleura.io.dicom.objects.film_text import copy_bytes, is_blank, keep_bytes, raw_value
from pleura.io.dicom.parse import items_of

__all__ = ["add_request", "for_result"]

_SERIES = "RequestAttributesSequence"
_STUDY = "ProcedureCodeSequence"

_CODE = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")
_CODE_REQUIRED = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_REQUEST = (
    "SpecificCharacterSet",
    "AccessionNumber",
    "StudyInstanceUID",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "ReasonForTheRequestedProcedure",
    "ReasonForRequestedProcedureCodeSequence",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
)
"""The attributes of the Request Attributes Macro (PS3.3 table 10-9) that are repeated."""

_SR_KEYWORDS = (
    "ReferencedStudySequence",
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)
"""The attributes of an item of ReferencedRequestSequence in an SR, which may be empty."""


_REPORTS = (ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage)
"""The SOP classes that state the request in ReferencedRequestSequence."""


def add_request(film: Dataset, header: Dataset) -> None:
    """Copy the film's procedure codes and requests to `header`, in place, without invalid items.

    Raises:
        UnreadableFilm: a sequence is far longer than any film needs.
    """
    codes = list(_copies(items_of(film, _STUDY), _CODE))
    if codes:
        header.ProcedureCodeSequence = Sequence(codes)
    requests = list(_copies(items_of(film, _SERIES), _REQUEST))
    if requests:
        header.RequestAttributesSequence = Sequence(requests)


def for_result(result: Dataset, header: Dataset, *, study: str) -> Dataset:
    """The elements of `header` for a result, as its IOD has them.

    Images state the request in their series. A report or key object selection states it in
    ReferencedRequestSequence, whose items name the study too.
    """
    for keyword in (_STUDY, _SERIES):
        _keep_items(header.get(keyword) or ())
    if result.get("SOPClassUID") not in _REPORTS or _SERIES not in header:
        return header
    elements = Dataset()
    elements.update(header)
    requests = elements.RequestAttributesSequence
    del elements.RequestAttributesSequence
    elements.ReferencedRequestSequence = Sequence(
        [_report_request(item, header, study) for item in requests]
    )
    return elements


def _report_request(request: Dataset, header: Dataset, study: str) -> Dataset:
    item = Dataset()
    for keyword in _SR_KEYWORDS:
        if keyword in request:
            item[keyword] = request.get_item(keyword)
        elif keyword == "AccessionNumber":
            item[keyword] = header.get_item(keyword)
        else:
            setattr(item, keyword, None if dictionary_VR(keyword) != "SQ" else [])
    if "SpecificCharacterSet" in request:
        item["SpecificCharacterSet"] = request.get_item("SpecificCharacterSet")
    item.StudyInstanceUID = request.get("StudyInstanceUID") or study
    keep_bytes(item)
    return item


def _keep_items(items: Iterable[Dataset]) -> None:
    """Make pydicom write the original bytes of text in the items, and in the items inside them."""
    for item in items:
        for keyword in item.dir("Sequence"):
            _keep_items(item[keyword].value)
        keep_bytes(item)


def _copies(items: Iterable[Dataset], keywords: tuple[str, ...]) -> Iterator[Dataset]:
    """Copies of the items with these attributes; those without a value are left out."""
    for item in items:
        copy = Dataset()
        for keyword in keywords:
            if keyword not in item:
                continue
            if dictionary_VR(keyword) == "SQ":
                codes = list(_copies(items_of(item, keyword), _CODE))
                if codes:
                    setattr(copy, keyword, Sequence(codes))
            elif isinstance(item.get_item(keyword), RawDataElement):
                copy_bytes(item, copy, [keyword])
            elif not is_blank(raw_value(item, keyword)):
                copy[keyword] = item[keyword]
        keep_bytes(copy)
        if _is_complete(copy, keywords):
            yield copy


def _is_complete(copy: Dataset, keywords: tuple[str, ...]) -> bool:
    needed = _CODE_REQUIRED if keywords is _CODE else ()
    return all(keyword in copy for keyword in needed) and len(copy) > 0
