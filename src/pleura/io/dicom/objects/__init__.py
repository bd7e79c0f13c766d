"""The DICOM objects that results are written as: SEG, SR, SC and presentation state."""
