"""What Pleura thinks of its own result: estimated Dice, reasons to doubt, a verdict."""

from __future__ import annotations

from pleura.core.card import Card
from pleura.core.cleanup import Cleaned
from pleura.core.native import NativeMaps
from pleura.core.traits import Traits, look
from pleura.core.types import Definition, Doubt, Probabilities, Quality, Verdict

__all__ = ["DOUBTS", "REFUSING", "judge"]

DOUBTS = {
    "no_lungs": "No lung was found: do not use this result; is it a frontal chest film?",
    "not_a_chest_film": "This does not look like a frontal chest film: do not use the masks "
    "unless you have looked at them.",
    "one_lung_missing": "Only one lung was found: check the film for the other one.",
    "sides_exchanged": "The right lung lies on the viewer's right: check whether the film is "
    "mirrored.",
    "touches_border": "A lung reaches the edge of the film: check that no part of it was cut off.",
    "much_cleaned": "Clean-up changed much of what was marked: check the masks for parts that "
    "are missing or too much.",
    "unequal_lungs": "One lung is much larger than the other: check that none is cut short.",
    "unsure_edges": "The outlines are unsure: check them against the film, and redraw them where "
    "they are wrong.",
    "unusual_shape": "The lungs have an unusual shape: check their outlines.",
}
"""Every code with its sentence, gravest first."""

REFUSING = ("no_lungs", "not_a_chest_film")
"""Codes with which a result is refused; any other asks for a review."""

BORDER = 1.0
"""Pixels of the lungs on the film's edge over the root of their area, at the most."""

CLEANED = 0.15
"""Share of the marked pixels that clean-up may change."""

UNEQUAL = 2.5
"""The larger lung over the smaller one, at the most."""


def judge(
    maps: Probabilities | NativeMaps, lungs: Cleaned, card: Card, *, definition: Definition
) -> Quality:
    """The verdict on `lungs`, which were made of `maps` by weights with this card."""
    seen = look(maps, lungs, card.channels, definition=definition)
    codes = _structural(seen)
    doubts = tuple(Doubt(code, text) for code, text in DOUBTS.items() if code in codes)
    return Quality(_verdict(codes), None, doubts)


def _verdict(codes: set[str]) -> Verdict:
    """The verdict that doubts of these codes come to."""
    if codes & set(REFUSING):
        return "refused"
    return "review" if codes else "ok"


def _structural(seen: Traits) -> set[str]:
    """What needs no norms to be seen."""
    shares = sorted((seen.right_share, seen.left_share))
    if not shares[1]:
        return {"no_lungs"}
    found = {
        "one_lung_missing": not shares[0],
        "sides_exchanged": seen.exchanged,
        "touches_border": seen.border > BORDER,
        "much_cleaned": seen.cleaned > CLEANED,
        "unequal_lungs": shares[1] > UNEQUAL * shares[0] > 0,
    }
    return {code for code, true in found.items() if true}
