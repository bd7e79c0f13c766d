"""DICOM: reading films, writing results. Most modules here import pydicom.

pydicom imports python-gdcm, and gdcm imports `dl`, a module of Python 2, if there is one. Any
other module or folder of that name makes the import of gdcm fail, and that of pydicom with it. If
there is a `dl`, gdcm is imported here first, and hidden from pydicom if that fails: then only the
compressions of gdcm cannot be read.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec


def _hide_a_broken_gdcm() -> None:
    if "gdcm" in sys.modules or find_spec("dl") is None:
        return
    try:
        import_module("gdcm")
    except Exception:  # an error of that `dl`; pydicom handles an ImportError only
        sys.modules["gdcm"] = None  # type: ignore[assignment]  # importing it is an ImportError


_hide_a_broken_gdcm()
