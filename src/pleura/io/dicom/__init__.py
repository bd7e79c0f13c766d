"""DICOM: reading films, writing results. Every module here imports pydicom.

pydicom imports python-gdcm, and gdcm imports `dl`, a module of Python 2, if there is one. Any
other module or folder of that name makes gdcm fail, and pydicom with it. So where there is a `dl`,
gdcm is tried first, and hidden from pydicom if it fails: then only its compressions are missing.
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
    except Exception:  # of the other `dl`; pydicom expects an ImportError and nothing else
        sys.modules["gdcm"] = None  # type: ignore[assignment]  # importing it is an ImportError


_hide_a_broken_gdcm()
