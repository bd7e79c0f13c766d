"""A data set to check."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lab.data.drawn_set import DataSet


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return DataSet(tmp_path / "clinic")
