"""Files <-> nouns."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec


def _leave_out_a_broken_gdcm() -> None:
    """Let pydicom be imported where a folder or module named `dl` lies in the way.

    python-gdcm imports `dl`, a module of Python 2, if it can, and fails on any other of that name;
    pydicom does not survive that. Without gdcm only its compressions are missing.
    """
    if "gdcm" in sys.modules or find_spec("dl") is None:
        return
    try:
        import_module("gdcm")
    except Exception:  # a stranger's module; pydicom expects an ImportError and nothing else
        sys.modules["gdcm"] = None  # type: ignore[assignment]  # importing it is an ImportError


_leave_out_a_broken_gdcm()
