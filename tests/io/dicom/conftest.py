"""A small DICOM film."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage


@pytest.fixture
def drawn_film(film: np.ndarray) -> Dataset:
    """A CR film with the pixels of `film`, to which `segmentation` belongs."""
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    source.StudyInstanceUID, source.SeriesInstanceUID = "1.2.3", "1.2.3.9"
    source.PatientName, source.PatientID, source.Modality = "A^B", "7", "CR"
    source.PatientOrientation = ["L", "F"]
    source.set_pixel_data(film, "MONOCHROME2", 8)
    source.SOPInstanceUID = "1.2.3.4"
    return source
