"""What every room's tests share: where the real films are, and how hypothesis behaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parents[1]

settings.register_profile("pleura", deadline=None)  # a busy machine is no failure
settings.load_profile("pleura")


@pytest.fixture(scope="session")
def films_root() -> Path:
    """The folder of real films (shenzhen_montgomery, jsrt, openist, dicom, ...)."""
    named = os.environ.get("PLEURA_FILMS")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no real films at {folder}: set PLEURA_FILMS to the folder that holds "
            "shenzhen_montgomery, jsrt, openist, dicom, ... to run this test"
        )
    return folder
