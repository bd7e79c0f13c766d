"""The verdict on a result: estimated Dice, reasons to doubt it, ok or review or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import Features, measure_features
from pleura.core.reference import ReferenceValues, read_reference_values
from pleura.core.types import Doubt, HeartQuality, LungMasks, Quality

__all__ = ["DOUBTS", "HEART_DOUBTS", "REFUSING", "conclude", "estimated_dice", "judge"]

DOUBTS = {
    "no_lungs": "No lung was found: do not use this result; is it a frontal chest film?",
    "not_a_chest_film": "This does not look like a frontal chest film: do not use the masks "
    "unless you have looked at them.",
    "one_lung_missing": "Only one lung was found: check the film for the other one.",
    "sides_exchanged": "The right lung lies on the viewer's right: check whether the film is "
    "mirrored.",
    "heart_on_right": "The heart lies on the viewer's left: check whether the film is mirrored, "
    "and which lung is the right one.",
    "said_mirrored": "The file says that the film is mirrored, and it was not turned: check which "
    "lung is the right one.",
    "said_turned": "The file says that the film does not stand upright, and it was not turned: "
    "check the masks, and which lung is the right one.",
    "touches_border": "A lung reaches the edge of the film: check that no part of it was cut off.",
    "much_cleaned": "Clean-up changed much of what was marked: check the masks for parts that "
    "are missing or too much.",
    "unequal_lungs": "One lung is much larger than the other: check that none is cut short.",
    "unsure_edges": "The outlines are unsure: check them against the film, and redraw them where "
    "they are wrong.",
    "unusual_shape": "The lungs have an unusual shape: check their outlines.",
}
"""Every code with its sentence, most serious first."""

HEART_DOUBTS = {
    "film_refused": "The film was refused: no cardiothoracic ratio is given.",
    "no_heart": "No heart was found: no cardiothoracic ratio is given.",
    "no_chest_width": "A lung is missing, and with it the width of the chest: no cardiothoracic "
    "ratio is given.",
    "unsure_heart": "The width of the heart is unsure: no cardiothoracic ratio is given; "
    "measure it on the film.",
}
"""Every code of a doubt about the heart with its sentence, most serious first."""

REFUSING = ("no_lungs", "not_a_chest_film")
"""Codes with which a result is refused; any other asks for a review."""

BORDER = 0.1
"""The largest usual `Features.border`."""

CLEANED = 0.15
"""The largest usual `Features.cleaned`."""

UNEQUAL = 2.5
"""The largest usual ratio of the larger lung to the smaller one."""


HEART_ON_RIGHT = -0.02
"""The smallest usual `Features.heart_side`. Of a third of the films to train on, 0 to 1.6 % of
adults' and 4.5 % of children's have less; of the same films mirrored, 93 to 98 % and 84 %."""


RATIO_SPREAD = 0.1
"""The largest usual `Features.ratio_spread`. `python -m benchmarks.accuracy.heart_ratio` measures,
on films to train on, how many keep their ratio and how far two networks agree on it."""


def judge(
    maps: ProbabilityMaps,
    lungs: LungMasks,
    card: Card,
    *,
    definition: Definition,
    doubts: Iterable[str] = (),
) -> Quality:
    """The verdict on `lungs`, which were made of `maps` by weights with this card.

    `doubts` are codes of doubts from elsewhere, such as `Radiograph.doubts`. Without reference
    values on the card no Dice is estimated, and the only doubts are lungs that are missing,
    exchanged, cut off, unequal or much cleaned, and a heart on the wrong side.
    """
    seen = measure_features(maps, lungs, card.channels, definition=definition)
    return conclude(seen, read_reference_values(card.norms, definition), doubts)


def conclude(seen: Features, reference: ReferenceValues, doubts: Iterable[str] = ()) -> Quality:
    """The verdict on a result with these features; `doubts` are codes of doubts from elsewhere."""
    dice = estimated_dice(seen, reference)
    codes = _structural(seen) | _beyond(seen, reference) | set(doubts)
    if reference.estimate and dice is not None and dice < reference.estimate.poor:
        codes.add("unsure_edges")
    if codes & set(REFUSING):  # without a chest film there is no true mask, and no Dice
        heart = _of_heart(seen, is_refused=True)
        return Quality("refused", None, _doubts(codes & set(REFUSING)), heart)
    return Quality("review" if codes else "ok", dice, _doubts(codes), _of_heart(seen))


def _of_heart(seen: Features, *, is_refused: bool = False) -> HeartQuality | None:
    """The verdict on the heart; None where the weights have no heart."""
    if seen.heart_found is None:
        return None
    if is_refused:
        return HeartQuality("refused", _doubts({"film_refused"}, HEART_DOUBTS))
    spread = seen.ratio_spread
    doubts = {
        "no_heart": not seen.heart_found,
        "no_chest_width": not (seen.right_share and seen.left_share),
        "unsure_heart": spread is not None and spread > RATIO_SPREAD,
    }
    codes = {code for code, is_met in doubts.items() if is_met}
    return HeartQuality("review" if codes else "ok", _doubts(codes, HEART_DOUBTS))


def estimated_dice(seen: Features, reference: ReferenceValues) -> float | None:
    """The mean Dice of results with these features; None without reference values, or lungs."""
    if reference.estimate is None or seen.doubt is None:
        return None
    return reference.estimate.dice(seen.doubt)


def _doubts(codes: set[str], texts: Mapping[str, str] = DOUBTS) -> tuple[Doubt, ...]:
    return tuple(Doubt(code, text) for code, text in texts.items() if code in codes)


def _structural(seen: Features) -> set[str]:
    """Codes of the doubts that need no reference values."""
    smaller, larger = sorted((seen.right_share, seen.left_share))
    if not larger:
        return {"no_lungs"}
    doubts = {
        "one_lung_missing": not smaller,
        "sides_exchanged": seen.exchanged,
        "heart_on_right": seen.heart_side is not None and seen.heart_side < HEART_ON_RIGHT,
        "touches_border": seen.border > BORDER,
        "much_cleaned": seen.cleaned > CLEANED,
        "unequal_lungs": larger > UNEQUAL * smaller > 0,
    }
    return {code for code, is_met in doubts.items() if is_met}


def _beyond(seen: Features, reference: ReferenceValues) -> set[str]:
    """Codes of the doubts about features beyond the limits of the reference values."""
    usual = reference.usual
    if usual is None or seen.unsure is None:
        return set()
    distance = 0.0 if seen.numbers is None else usual.distance(seen.numbers)
    if seen.unsure > usual.unsure or distance > usual.strange:
        return {"not_a_chest_film"}
    return {"unusual_shape"} if distance > usual.unusual else set()
