"""The most similar known name for an unknown one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]

NEAR = 0.5
"""The similarity (difflib's ratio) from which a known name is proposed for a wrong one."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known name, or all of them.

    Upper and lower case count as the same. Example: `did you mean 'mask'?`
    """
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), by_lower_case, n=1, cutoff=NEAR)
    if near:
        return f"did you mean '{by_lower_case[near[0]]}'?"
    return f"known are {', '.join(by_lower_case.values())}"
