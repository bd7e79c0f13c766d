"""DICOM results repeat the identity and the request of the film."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    ImplicitVRLittleEndian,
)
from tests.io.dicom.objects.drawn import (
    FILM,
    NAME,
    STUDY,
    as_bytes,
    ellipses,
    errors,
    film,
    item,
)

from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.dicom.source import FilmHeader, film_header
from pleura.io.film import ReadOptions
from pleura.io.read import read_film


def test_names_are_kept_and_appear_in_no_message(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    data = as_bytes(film(PatientName="Müller", SpecificCharacterSet="ISO_IR 100"))
    (result,) = dicom_results(data, ellipses(data), ["dicom-seg"])
    back = dcmread(BytesIO(dicom_bytes(result)))
    assert str(back.PatientName) == "Müller"
    assert "Müller" not in caplog.text
    assert NAME not in caplog.text
    wrong = as_bytes(film(PatientBirthDate="31/12/1970", PatientSex=NAME))
    caplog.clear()
    dicom_results(wrong, ellipses(wrong), ["dicom-seg"])  # pydicom would warn of both, and quote
    assert "31/12/1970" not in caplog.text
    assert NAME not in caplog.text
    assert FILM not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_values_of_an_older_standard_are_corrected_or_left_empty() -> None:
    odd = film(
        PatientSex="female",
        ReferringPhysicianName="x" * 80,
        PatientBirthDate="1970.12.31",  # as before DICOM 3
        StudyDate="some day",
    )
    data = as_bytes(odd)
    (result,) = dicom_results(data, ellipses(data), ["dicom-seg"])
    assert result.PatientBirthDate == "19701231"
    assert not result.StudyDate
    assert not result.PatientSex
    assert result.get_item("ReferringPhysicianName").value == b"x" * 80
    read = read_film(data, ReadOptions(header=True)).radiograph
    assert "identity_changed" in read.doubts
    note = "PatientSex, StudyDate of the film cannot be repeated in DICOM results"
    assert note in read.notes


def results_of_each_source(film: Dataset, *, implicit: bool) -> Iterator[Dataset]:
    """Results of the film's bytes, its header, and the header after a way through bytes."""
    if implicit:
        film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data = as_bytes(film)
    header = read_film(data, ReadOptions(header=True)).dicom_header()
    for source in (data, header, FilmHeader.from_bytes(header.to_bytes())):
        yield from dicom_results(source, ellipses(data), ["dicom-seg", "dicom-sr", "dicom-sc"])


@pytest.mark.parametrize(
    ("keyword", "value", "charset"),
    [
        ("AccessionNumber", b"ACC0001\\ACC0002", None),
        ("AccessionNumber", b"A1234567890123456", None),
        ("PatientID", b"AB\\CD", None),
        ("PatientID", b"P" * 65, None),
        ("PatientName", b"Doe^Jane\\Roe^Jane", None),
        ("PatientName", "表^太郎".encode("shift_jis"), None),
        ("PatientName", "表^太郎".encode("shift_jis"), b"ISO_IR 13"),
        ("PatientName", "俓^小".encode("gbk"), b"GB18030"),
        ("PatientName", "俓^小".encode("gbk"), None),
        ("PatientName", "Müller".encode("latin1"), b"ISO-8859-1"),
        ("PatientName", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87"),
        ("StudyDescription", b"CHEST PA\\PORTABLE", None),
        ("PatientName", b"\x80\x81^\xff\xfe", b"OUR_OWN_CODE"),
    ],
)
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.filterwarnings("ignore:Unknown encoding")  # of this test's own reading
def test_identity_is_repeated_byte_for_byte(
    keyword: str, value: bytes, charset: bytes | None, implicit: bool
) -> None:
    """Read here, by way of a decoder process, and written and read again as a node does."""
    value += b" " * (len(value) % 2)
    charset = charset and charset + b" " * (len(charset) % 2)
    odd = film()
    for name, raw in ((keyword, value), ("SpecificCharacterSet", charset)):
        if raw:
            tag = Tag(name)
            odd[tag] = RawDataElement(tag, dictionary_VR(name), len(raw), raw, 0, False, True)
    odd.set_original_encoding(implicit, True, odd._character_set)  # else pydicom converts the text
    for result in results_of_each_source(odd, implicit=implicit):
        again = dcmread(BytesIO(dicom_bytes(dcmread(BytesIO(dicom_bytes(result))))))
        assert again.get_item(keyword).value == value
        kept = dcmread(BytesIO(as_bytes(odd))).get("SpecificCharacterSet")
        assert again.get("SpecificCharacterSet") == kept


DESCRIPTION = "胸部".encode("shift_jis") + b"  "
"""Six bytes of text in a character set that the film does not declare."""

PROCEDURE = {"CodeValue": b"CXR1", "CodingSchemeDesignator": b"L ", "CodeMeaning": b"Chest "}


@pytest.mark.parametrize("implicit", [False, True])
def test_the_request_of_a_film_is_repeated_byte_for_byte(implicit: bool) -> None:
    request = item(
        implicit=implicit,
        RequestedProcedureID=b"RP\\7",
        RequestedProcedureDescription=DESCRIPTION,
        ScheduledProcedureStepID=b"S1",
        RequestedProcedureCodeSequence=[item(**PROCEDURE), item(CodeValue=b"no")],
        PatientComments="private",
    )
    odd = film(
        RequestAttributesSequence=[request], ProcedureCodeSequence=[item(**PROCEDURE), Dataset()]
    )
    odd.set_original_encoding(implicit, True, odd._character_set)
    for result in results_of_each_source(odd, implicit=implicit):
        again = dcmread(BytesIO(dicom_bytes(result)))
        (procedure,) = again.ProcedureCodeSequence
        assert procedure.get_item("CodeMeaning").value == b"Chest "
        is_report = again.Modality == "SR"
        name = "ReferencedRequestSequence" if is_report else "RequestAttributesSequence"
        assert ("RequestAttributesSequence" in again) != is_report
        (repeated,) = again[name].value
        assert repeated.get_item("RequestedProcedureID").value == b"RP\\7"
        assert repeated.get_item("RequestedProcedureDescription").value == DESCRIPTION
        (code,) = repeated.RequestedProcedureCodeSequence
        assert code.get_item("CodeValue").value == b"CXR1"
        assert "PatientComments" not in repeated
        if is_report:
            assert repeated.StudyInstanceUID == STUDY
            assert repeated.get_item("AccessionNumber").value == b"A1"


def test_results_that_repeat_a_request_have_no_error(tmp_path: Path) -> None:
    request = item(
        RequestedProcedureID=b"RP7 ",
        ScheduledProcedureStepID=b"S1",
        RequestedProcedureCodeSequence=[item(**PROCEDURE)],
    )
    data = as_bytes(film(RequestAttributesSequence=[request], ProcedureCodeSequence=[request]))
    assert "ProcedureCodeSequence" not in film_header(data).patient  # a code needs a value
    for result in dicom_results(data, ellipses(data), ["dicom-seg", "dicom-sr", "dicom-sc"]):
        assert errors(result, tmp_path / "result.dcm") == []
