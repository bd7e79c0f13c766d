"""Files that would take gigabytes of memory or minutes are refused before they are decoded."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io import film_checks as suitable
from pleura.io.dicom import parse as dicom_parse
from pleura.io.dicom.decode.codestream import Codestream, read_codestream
from pleura.io.dicom.received import check_received_file
from pleura.io.dicom.source import film_header
from pleura.io.files import bounded_reads
from pleura.io.images import jpeg_scans
from pleura.io.read import read_here, read_radiograph


def grey(height: int = 64, width: int = 48) -> np.ndarray:
    return np.add.outer(np.arange(height) * 3, np.arange(width)).astype(np.uint8)


def saved(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = BytesIO()
    (image or Image.fromarray(grey())).save(file, kind, **options)
    return file.getvalue()


def film(**attributes: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    dataset.Modality = "CR"
    dataset.set_pixel_data(grey(), "MONOCHROME2", 8)
    dataset.SOPInstanceUID = "1.2.3.4"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    file = BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


class TestInflating:
    def test_a_deflated_film_that_inflates_too_far_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = written(film(), DeflatedExplicitVRLittleEndian)
        assert read_radiograph(data).size == (64, 48)
        assert check_received_file(data).uid == "1.2.3.4"
        monkeypatch.setattr(dicom_parse, "MAX_INFLATED", 3_000)
        for read in (read_here, check_received_file, film_header):
            with pytest.raises(UnreadableFilm, match="inflates to over"):
                read(data)

    def test_inflating_stops_at_the_limit(self) -> None:
        data = written(film(), DeflatedExplicitVRLittleEndian)
        (meta_bytes,) = struct.unpack_from("<I", data, 140)  # FileMetaInformationGroupLength
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = packer.compress(bytes(10**9)) + packer.flush()
        assert len(bomb) < 1_100_000
        with pytest.raises(UnreadableFilm, match="inflates to over 500 MB"):
            read_here(data[: 144 + meta_bytes] + bomb)


class TestPieces:
    def test_a_png_of_millions_of_chunks_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = saved("PNG")
        chunk = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
        monkeypatch.setattr(bounded_reads, "MIN_READS", 500)
        with pytest.raises(UnreadableFilm, match="far more pieces than a film"):
            read_radiograph(data[:33] + chunk * 2_000 + data[33:])
        assert read_radiograph(data[:33] + chunk * 20 + data[33:]).size == (64, 48)

    def test_a_jpeg_of_millions_of_segments_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = saved("JPEG")
        monkeypatch.setattr(bounded_reads, "MIN_READS", 500)
        with pytest.raises(UnreadableFilm, match="far more pieces than a film"):
            read_radiograph(data[:2] + b"\xff\xe9\x00\x02" * 2_000 + data[2:])

    def test_a_dicom_file_of_millions_of_elements_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = written(film())
        element = struct.pack("<HH2sH", 0x0009, 0x1001, b"LO", 0)
        at = data.index(struct.pack("<HH", 0x0028, 0x0002))
        monkeypatch.setattr(bounded_reads, "MIN_READS", 500)
        for read in (read_radiograph, check_received_file):
            with pytest.raises(UnreadableFilm, match="far more pieces than a film"):
                read(data[:at] + element * 5_000 + data[at:])


class TestProgressiveJpeg:
    def test_a_jpeg_of_too_many_scans_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = saved("JPEG", progressive=True)
        assert read_radiograph(data).size == (64, 48)
        scans = data.count(b"\xff\xda")
        assert 4 < scans < 20
        monkeypatch.setattr(jpeg_scans, "MAX_SCANS", scans - 1)
        with pytest.raises(UnreadableFilm, match=rf"has {scans} scans; the limit"):
            read_radiograph(data)

    def test_a_marker_across_two_blocks_is_counted_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = saved("JPEG", progressive=True)
        monkeypatch.setattr(jpeg_scans, "_BLOCK", data.index(b"\xff\xda") + 1)
        monkeypatch.setattr(jpeg_scans, "MAX_SCANS", data.count(b"\xff\xda"))
        assert read_radiograph(data).size == (64, 48)
        monkeypatch.setattr(jpeg_scans, "MAX_SCANS", data.count(b"\xff\xda") - 1)
        with pytest.raises(UnreadableFilm, match="scans"):
            read_radiograph(data)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suitable, "MAX_BYTES", 1_000)
    with pytest.raises(UnsuitableFilm, match="has 0 MB, the limit is"):
        read_radiograph(saved("BMP"))


class TestCodestreams:
    """Headers against the sizes the pictures were made with."""

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": "x" * 900}])
    def test_jpeg(self, options: dict[str, object]) -> None:
        assert read_codestream(saved("JPEG", **options)) == Codestream(64, 48, 8, 1)

    def test_jpeg_in_colour(self) -> None:
        image = Image.fromarray(grey()).convert("RGB")
        assert read_codestream(saved("JPEG", image)) == Codestream(64, 48, 8, 3)

    @pytest.mark.parametrize("bare", [True, False])
    def test_jpeg_2000(self, bare: bool) -> None:
        image = Image.fromarray(grey().astype(np.uint16) * 16)
        stream = saved("JPEG2000", image, no_jp2=bare)
        assert read_codestream(stream) == Codestream(64, 48, 16, 1)

    def test_jpeg_ls(self) -> None:  # written by hand after ISO 14495-1, C.2.2
        header = b"\xff\xd8\xff\xf7\x00\x0b\x0c\x00\x40\x00\x30\x01\x01\x11\x00"
        assert read_codestream(header) == Codestream(64, 48, 12, 1)

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"RLE", b"\xff\xd8\xff\xe0\xff"]
    )
    def test_a_header_that_is_cut_or_of_another_format_gives_none(self, content: bytes) -> None:
        assert read_codestream(content) is None


def test_a_webp_header_of_268_megapixels_is_refused() -> None:
    body = b"\x2f" + struct.pack("<I", 16_383 | 16_383 << 14) + bytes(9)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(body)) + body
    data = b"RIFF" + struct.pack("<I", len(chunk)) + chunk
    with pytest.raises(UnsuitableFilm, match="far larger than 60 megapixels, the limit"):
        read_radiograph(data)


def test_a_nifti_of_a_negative_size_is_damaged() -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((48, 64))
    data = bytearray(header.binaryblock + bytes(4 + 48 * 64 * 4))
    struct.pack_into("<h", data, 42, -5)  # dim[1]
    struct.pack_into("<f", data, 108, 352)  # vox_offset
    data[344:348] = b"n+1\0"
    with pytest.raises(UnreadableFilm, match="shape -5 x 64: it is damaged"):
        read_radiograph(bytes(data))


def test_a_lookup_table_with_half_of_its_entries_is_ignored() -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [256, 0, 16])
    table.add_new("LUTData", "US", list(range(0, 12_000, 100)))  # 120 entries, values go to 236
    read = read_radiograph(written(film(VOILUTSequence=[table])))
    assert np.array_equal(read.pixels, grey())
    assert read.notes == ("VOILUTSequence lacks entries that the film needs; it was ignored",)
