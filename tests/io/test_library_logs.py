"""Log records of libraries do not reach the host program while they work for Pleura."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, RLELossless, generate_uid

from pleura.io.decoding import decoding, quietly
from pleura.io.library_logs import LIBRARIES, without_library_logs


def rle_film(*, damaged: bool = False) -> bytes:
    """A DICOM film of 200 x 160 px; pydicom logs of one whose compressed pixels are cut short."""
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = generate_uid(entropy_srcs=["film"])
    film.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    film.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    film.PatientID, film.PatientName = "S4321", "Roe^" + "Alex"
    film.Modality, film.PhotometricInterpretation, film.SamplesPerPixel = "CR", "MONOCHROME2", 1
    film.Rows, film.Columns = 200, 160
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = RLELossless
    grey = np.random.default_rng(0).integers(0, 255, (200, 160), dtype=np.uint8)
    film.compress(RLELossless, grey, generate_instance_uid=False)
    stream = io.BytesIO()
    film.save_as(stream, enforce_file_format=True)
    content = stream.getvalue()
    return (
        content if not damaged else content.replace(b"\1\0\0\0\x40\0\0\0", b"\1\0\0\0\xff\xff\0\0")
    )


HOST = """
import logging, pathlib, sys, warnings
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="RECORD %(name)s %(message)s")
warnings.simplefilter("always")
import pleura
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.iterdir()):
    try:
        result = pleura.segment(path)
        result.save(folder / "out" / path.stem, formats=["mask", "overlay", "labels", "nifti"])
        if path.suffix == ".dcm":
            result.save(folder / "out" / path.stem, formats=["dicom-seg", "dicom-sr"], film=path)
    except pleura.FilmError as error:
        print("refused", path.name)
print("end")
logging.getLogger("pydicom").warning("the host's own")
logging.getLogger("PIL.PngImagePlugin").debug("and this")
"""


def test_a_host_logs_only_its_own_records(tmp_path: Path) -> None:
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 255, (200, 160), dtype=np.uint8)
    for suffix in ("png", "jpg", "tif", "bmp", "webp"):
        Image.fromarray(grey).save(tmp_path / f"film.{suffix}")
    (tmp_path / "film.dcm").write_bytes(rle_film())
    (tmp_path / "torn.dcm").write_bytes(rle_film(damaged=True))
    (tmp_path / "out").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", HOST, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "refused out",
        "refused torn.dcm",
        "end",
        "RECORD pydicom the host's own",
        "RECORD PIL.PngImagePlugin and this",
    ]


def test_a_cut_film_would_be_logged_without_the_block(caplog: pytest.LogCaptureFixture) -> None:
    """Or the test above would show nothing."""
    import pydicom

    torn = pydicom.dcmread(io.BytesIO(rle_film(damaged=True)))
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="decode"):
        _ = torn.pixel_array
    assert [record for record in caplog.records if record.name.startswith("pydicom")]


@pytest.mark.parametrize("name", [*LIBRARIES, "pydicom.pixels", "PIL.Image"])
def test_records_are_dropped_only_in_the_block_and_on_its_thread(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger(name)

    def elsewhere() -> None:
        logger.warning("from another thread")

    with caplog.at_level(logging.DEBUG):
        with without_library_logs(), without_library_logs():
            logger.warning("inside")
            other = threading.Thread(target=elsewhere)
            other.start()
            other.join()
        logger.warning("after")
    assert [record.message for record in caplog.records] == ["from another thread", "after"]


def test_the_host_s_loggers_are_restored_after_the_block() -> None:
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before = [(logger.propagate, list(logger.handlers), logger.level) for logger in loggers]
    with pytest.raises(ZeroDivisionError), without_library_logs():
        raise ZeroDivisionError
    with decoding("DICOM"):
        pass
    assert before == [(logger.propagate, logger.handlers, logger.level) for logger in loggers]


def test_a_logger_that_the_host_disabled_stays_disabled(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("pydicom")
    logger.propagate = False
    try:
        with without_library_logs():
            other = threading.Thread(target=logger.warning, args=("not for the host",))
            other.start()
            other.join()
        assert not logger.propagate
    finally:
        logger.propagate = True
    assert not caplog.records


def test_blocks_on_several_threads_restore_the_loggers() -> None:
    logger = logging.getLogger("pydicom")
    inside = threading.Barrier(8)

    def work() -> None:
        for _ in range(20):
            with without_library_logs():
                inside.wait(30)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logger.propagate


def test_writing_in_a_quiet_block_warns_nobody() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quietly():
            warnings.warn("inside", UserWarning, stacklevel=1)
    assert heard == []
