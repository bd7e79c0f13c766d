"""The verdict on a result: ok, review or refused, with the estimated Dice and the doubts."""

from __future__ import annotations

from collections.abc import Iterable

from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import Contact, Features, measure_features
from pleura.core.quality.film import FilmFeatures, measure_film
from pleura.core.reference import ReferenceValues, read_reference_values
from pleura.core.types import Doubt, HeartQuality, LungMasks, Quality

__all__ = ["DOUBTS", "HEART_DOUBTS", "REFUSING_CODES", "conclude", "estimated_dice", "judge"]

DOUBTS = {
    "no_lungs": "No lung was found: do not use this result; is it a frontal chest film?",
    "not_a_chest_film": "This does not look like a frontal chest film: do not use the masks "
    "unless you have looked at them.",
    "one_lung_missing": "Only one lung was found: check the film for the other one.",
    "sides_exchanged": "The right lung lies on the patient's left: check which lung is the right "
    "one, and whether the film is mirrored.",
    "heart_on_right": "The heart lies on the patient's right: check whether the film is mirrored, "
    "and which lung is the right one. If the sides are exchanged, segment the film again "
    "with the other value of flip.",
    "said_mirrored": "By its header the detector's image was mirrored, and the header does not "
    "tell how the patient lies in it: check which lung is the right one.",
    "said_turned": "By its header the film is not upright, and it was segmented as it is: check "
    "the masks, and which lung is the right one.",
    "identity_changed": "An attribute of patient or study could not be repeated in the DICOM "
    "results: check that they belong to the right patient and study.",
    "touches_border": "A lung reaches the edge of the film: check that no part of it was cut off.",
    "much_cleaned": "Clean-up changed much of what was marked: check the masks for parts that "
    "are missing or too much.",
    "unequal_lungs": "One lung is much larger than the other: check that none is cut short.",
    "unsure_edges": "The outlines are unsure: check them against the film, and redraw them where "
    "they are wrong.",
    "unusual_shape": "The lungs or the heart are unusual for a frontal chest film: check what the "
    "film shows, and the outlines.",
}
"""The sentence of every code of a doubt, the most serious first."""

HEART_DOUBTS = {
    "film_refused": "The film was refused: no cardiothoracic ratio is given.",
    "no_heart": "No heart was found: no cardiothoracic ratio is given.",
    "no_chest_width": "A lung is missing, and with it the width of the chest: no cardiothoracic "
    "ratio is given.",
    "unsure_heart": "The width of the heart is unsure: no cardiothoracic ratio is given; "
    "measure it on the film.",
}
"""The sentence of every code of a doubt about the heart, the most serious first."""

REFUSING_CODES = ("no_lungs", "not_a_chest_film")
"""The codes that give the verdict `refused`; any other code gives the verdict `review`."""

CONTACT = 0.05
"""The largest usual value in `Features.contacts`. Of 780 films of the splits train and val, 1.6 %
(3.6 % with `--fast`) have a larger value at an edge that their manual masks do not reach; these
films end close to the lungs. Of real films that were cropped through a lung by 5 % or more of its
size, 77 to 94 % have a larger value at the lower edge, where lungs are narrow, and 94 to 100 % at
the other edges."""

CLEANED = 0.15
"""The largest usual `Features.cleaned`."""

UNEQUAL = 2.5
"""The largest usual ratio of the larger lung to the smaller one."""

HEART_ON_RIGHT = -0.02
"""The smallest usual `Features.heart_side`. Of a third of the training films, 0 to 1.6 % of the
films of adults and 4.5 % of those of children have a smaller value. If the films are mirrored,
93 to 98 % of those of adults and 84 % of those of children have."""

MAX_RATIO_RANGE = 0.07
"""The largest usual `Features.ratio_range`. `python -m benchmarks.accuracy.heart_ratio` measures
on training films for how many the ratio is given, and how well two networks agree on it."""


def judge(
    maps: ProbabilityMaps,
    lungs: LungMasks,
    card: Card,
    *,
    definition: Definition,
    doubts: Iterable[str] = (),
) -> Quality:
    """The verdict on `lungs`, the masks made of `maps` by weights with this card.

    `doubts` are codes of further doubts, such as `Radiograph.doubts`. Without reference values on
    the card no Dice is estimated. The only doubts are then lungs that are missing, exchanged, cut
    off, unequal or much cleaned, and a heart on the wrong side.
    """
    features = measure_features(maps, lungs, card.channels, definition=definition)
    film = measure_film(maps, card.channels)
    return conclude(features, film, read_reference_values(card.norms, definition), doubts=doubts)


def conclude(
    features: Features,
    film: FilmFeatures,
    reference: ReferenceValues,
    *,
    doubts: Iterable[str] = (),
) -> Quality:
    """The verdict on a result: `features` are those of the lungs by one definition.

    `doubts` are codes of further doubts.
    """
    dice = estimated_dice(features, reference)
    codes = _structural(features) | _film_doubts(film, reference) | set(doubts)
    if reference.estimate and dice is not None and dice < reference.estimate.poor:
        codes.add("unsure_edges")
    if codes & set(REFUSING_CODES):  # no chest film: there is no true mask, so no Dice
        heart = _heart_quality(features, is_refused=True)
        return Quality("refused", None, _doubts(codes & set(REFUSING_CODES), features), heart)
    return Quality(
        "review" if codes else "ok", dice, _doubts(codes, features), _heart_quality(features)
    )


def _heart_quality(features: Features, *, is_refused: bool = False) -> HeartQuality | None:
    """The verdict on the heart; None if the weights have no heart."""
    if features.heart_found is None:
        return None
    if is_refused:
        return HeartQuality("refused", _heart_doubts({"film_refused"}))
    ratio_range = features.ratio_range
    doubts = {
        "no_heart": not features.heart_found,
        "no_chest_width": not (features.right_share and features.left_share),
        "unsure_heart": ratio_range is not None and ratio_range > MAX_RATIO_RANGE,
    }
    codes = {code for code, is_met in doubts.items() if is_met}
    return HeartQuality("review" if codes else "ok", _heart_doubts(codes))


def _heart_doubts(codes: set[str]) -> tuple[Doubt, ...]:
    return tuple(Doubt(code, text) for code, text in HEART_DOUBTS.items() if code in codes)


def estimated_dice(features: Features, reference: ReferenceValues) -> float | None:
    """The mean Dice of results with these features; None without reference values or lungs."""
    if reference.estimate is None or features.uncertainty is None:
        return None
    return reference.estimate.dice(features.uncertainty)


def _doubts(codes: set[str], features: Features) -> tuple[Doubt, ...]:
    texts = DOUBTS | {"touches_border": _border_text(_cut_off(features))}
    return tuple(Doubt(code, text) for code, text in texts.items() if code in codes)


def _cut_off(features: Features) -> list[Contact]:
    """The lungs that reach an edge of the film, each with that edge."""
    return [contact for contact, length in features.contacts.items() if length > CONTACT]


def _border_text(contacts: list[Contact]) -> str:
    """The sentence of `touches_border`, with the lungs and edges in brackets."""
    what, _, check = DOUBTS["touches_border"].partition(":")
    return f"{what} ({', '.join(' '.join(contact) for contact in contacts)}):{check}"


def _structural(features: Features) -> set[str]:
    """Codes of the doubts that need no reference values."""
    smaller, larger = sorted((features.right_share, features.left_share))
    if not larger:
        return {"no_lungs"}
    doubts = {
        "one_lung_missing": not smaller,
        "sides_exchanged": features.exchanged,
        "heart_on_right": features.heart_side is not None and features.heart_side < HEART_ON_RIGHT,
        "touches_border": bool(_cut_off(features)),
        "much_cleaned": features.cleaned > CLEANED,
        "unequal_lungs": larger > UNEQUAL * smaller > 0,
    }
    return {code for code, is_met in doubts.items() if is_met}


def _film_doubts(film: FilmFeatures, reference: ReferenceValues) -> set[str]:
    """Codes of the doubts about the film, which do not depend on the definition of lung."""
    usual = reference.usual
    if usual is None or film.mean_variance is None:
        return set()
    if film.mean_variance > usual.refusal_variance:
        return {"not_a_chest_film"}
    if film.numbers is None:  # a lung or the heart is missing
        return {"unusual_shape"}
    distance = usual.distance(film.numbers)
    if distance > usual.refusal_distance:
        return {"not_a_chest_film"}
    return {"unusual_shape"} if distance > usual.review_distance else set()
