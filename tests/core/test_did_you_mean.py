"""A message about an unknown name ends with the nearest known one, or with all of them."""

from __future__ import annotations

import pytest

from pleura.core.did_you_mean import did_you_mean

KNOWN = ("mask", "overlay", "L")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("masks", "did you mean 'mask'?"),  # difflib's ratio 8 / 9
        ("OVERLAY", "did you mean 'overlay'?"),  # upper and lower case are the same
        ("l", "did you mean 'L'?"),  # and the known name is shown as it is written
        ("mxyz", "known are mask, overlay, L"),  # 2 / 8: too far from all
        ("", "known are mask, overlay, L"),
    ],
)
def test_the_nearest_name_is_proposed(given: str, message: str) -> None:
    assert did_you_mean(given, KNOWN) == message
