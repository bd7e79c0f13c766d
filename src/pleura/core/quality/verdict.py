"""The verdict on a result: ok, review or refused, with the estimated Dice and the doubts."""

from __future__ import annotations

from collections.abc import Iterable

from pleura.core.arrays import Definition, Verdict
from pleura.core.card import Card
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import Contact, Features, measure_features
from pleura.core.quality.film import FilmFeatures, measure_film
from pleura.core.reference import ReferenceValues, read_reference_values
from pleura.core.types import Doubt, HeartQuality, LungMasks, Quality

__all__ = [
    "DOUBTS",
    "HEART_DOUBTS",
    "REFUSING_CODES",
    "estimated_dice",
    "judge_features",
    "judge_masks",
]

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
    "said_mirrored": "According to the header, the detector's image was mirrored, and the header "
    "does not state the patient's orientation: check which lung is the right one.",
    "said_turned": "According to the header, the film is not upright, and it was segmented as it "
    "is: check the masks, and which lung is the right one.",
    "identity_changed": "An attribute of patient or study could not be copied to the DICOM "
    "results: check that they belong to the right patient and study.",
    "touches_border": "A lung reaches the edge of the film: check that no part of it was cut off.",
    "much_cleaned": "The clean-up changed a large part of the masks: check for parts that are "
    "missing or should not be there.",
    "unequal_lungs": "One lung is much larger than the other: check that no lung is incomplete.",
    "unsure_edges": "The outlines are uncertain: check them against the film, and redraw them "
    "where they are wrong.",
    "unusual_shape": "The lungs or the heart are unusual for a frontal chest film: check what the "
    "film shows, and the outlines.",
}
"""The sentence of every code of a doubt, the most serious first."""

HEART_DOUBTS = {
    "film_refused": "The film was refused: no cardiothoracic ratio is given.",
    "no_heart": "No heart was found: no cardiothoracic ratio is given.",
    "no_chest_width": "A lung is missing, so the width of the chest cannot be measured: no "
    "cardiothoracic ratio is given.",
    "unsure_heart": "The width of the heart is uncertain: no cardiothoracic ratio is given; "
    "measure it on the film.",
}
"""The sentence of every code of a doubt about the heart, the most serious first."""

REFUSING_CODES = ("no_lungs", "not_a_chest_film")
"""The codes that give the verdict `refused`; any other code gives the verdict `review`."""

MAX_CONTACT = 0.05
"""The largest usual value in `Features.contacts`. Of 780 films of the splits train and val, 1.6 %
(3.6 % with `--fast`) have a larger value at an edge that their manual masks do not reach; these
films end close to the lungs. Of real films that were cropped through a lung by 5 % or more of its
size, 77 to 94 % have a larger value at the lower edge, where lungs are narrow, and 94 to 100 % at
the other edges."""

MAX_CLEANED = 0.15
"""The largest usual `Features.cleaned_share`."""

MAX_AREA_RATIO = 2.5
"""The largest usual ratio of the larger lung to the smaller one."""

MIN_HEART_OFFSET = -0.02
"""The smallest usual `Features.heart_offset`. Measured on a third of the training films, it is
smaller in 0 to 1.6 % of the films of adults, depending on the data set, and in 4.5 % of those of
children; if the films are mirrored, in 93 to 98 % and in 84 %."""

MAX_RATIO_RANGE = 0.07
"""The largest usual `Features.ratio_range`. `python -m benchmarks.accuracy.heart_ratio` measures
on training films how often the ratio is given, and how well two networks agree on it."""


def judge_masks(
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
    return judge_features(
        features, film, read_reference_values(card.norms, definition), doubts=doubts
    )


def judge_features(
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
    refusing = codes & set(REFUSING_CODES)
    verdict: Verdict = "review" if codes else "ok"
    if refusing:  # no chest film: there is no true mask, so no Dice
        verdict, dice, codes = "refused", None, refusing
    return Quality(
        verdict,
        dice,
        _doubts(codes, features),
        _heart_quality(features, is_refused=bool(refusing)),
        uncertainty=features.uncertainty,
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
    if reference.estimate is None or features.log_uncertainty is None:
        return None
    return reference.estimate.dice(features.log_uncertainty)


def _doubts(codes: set[str], features: Features) -> tuple[Doubt, ...]:
    texts = DOUBTS | {"touches_border": _border_text(_cut_off(features))}
    return tuple(Doubt(code, text) for code, text in texts.items() if code in codes)


def _cut_off(features: Features) -> list[Contact]:
    """The lungs that reach an edge of the film, each with that edge."""
    return [contact for contact, length in features.contacts.items() if length > MAX_CONTACT]


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
        "heart_on_right": features.heart_offset is not None
        and features.heart_offset < MIN_HEART_OFFSET,
        "touches_border": bool(_cut_off(features)),
        "much_cleaned": features.cleaned_share > MAX_CLEANED,
        "unequal_lungs": larger > MAX_AREA_RATIO * smaller > 0,
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
