"""Reference values fitted to results of a known law, and statistics of verdicts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pleura.core.quality.features import Features
from pleura.core.quality.film import FilmFeatures
from pleura.core.reference import feature_names, read_reference_values
from pleura.lab.evaluate.fit_reference import FEWEST, ResultFeatures, fit_reference_values
from pleura.lab.evaluate.verdicts import auroc, average_precision, judge_results, verdict_figures

FILMS = 200
KNOWN = len(feature_names(["field"], heart=False))


def results(count: int = FILMS, *, seed: int = 0) -> list[ResultFeatures]:
    """Results with 1 - Dice = 2 sqrt(lack of the worse lung x unsure share), and random shapes."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        lack, unsure = rng.uniform(0.01, 0.05), rng.uniform(0.02, 0.06)
        features = Features(
            expected_dice=1 - lack,
            worse_lung=1 - lack,
            mean_variance=unsure,
            cleaned_share=0.0,
            contacts={},
            right_share=0.15,
            left_share=0.12,
            exchanged=False,
            heart_offset=None,
            heart_found=None,
            ratio_range=None,
        )
        film = FilmFeatures(numbers=rng.normal(size=KNOWN), mean_variance=unsure)
        dice = 1 - 2 * float(np.sqrt(lack * unsure))
        made.append(
            ResultFeatures(
                source="drawn",
                definition="field",
                features=features,
                film=film,
                dice=dice,
            )
        )
    return made


def test_the_fit_finds_the_known_line() -> None:
    reference = read_reference_values(fit_reference_values(results()), "field")
    assert reference.estimate is not None
    assert reference.estimate.slope == pytest.approx(1, abs=1e-4)
    assert reference.estimate.intercept == pytest.approx(np.log(2), abs=1e-4)


def test_the_shares_that_go_to_review_are_as_stated_and_none_is_refused() -> None:
    """Of 200 films 6.7 have a low Dice; of 200 others about 8 are unusual."""
    seen, others = results(), results(seed=1)
    reference = fit_reference_values(seen)
    labelled = verdict_figures(judge_results(seen, reference))["labelled"]
    assert labelled["doubts"]["unsure_edges"] == 7
    unusual = verdict_figures(judge_results(others, reference))["labelled"]["doubts"][
        "unusual_shape"
    ]
    assert 4 <= unusual <= 12
    assert labelled["refused"] == 0
    assert labelled["mae"] == pytest.approx(0, abs=1e-4)
    assert labelled["correlation"] == pytest.approx(1, abs=1e-4)


def test_unusual_features_are_refused() -> None:
    seen = results()
    reference = read_reference_values(fit_reference_values(seen), "field")
    assert reference.usual is not None
    numbers = seen[0].film.numbers
    assert numbers is not None
    assert (
        reference.usual.distance(numbers)
        < reference.usual.review_distance
        < reference.usual.refusal_distance
    )
    assert reference.usual.distance(numbers + 10) > reference.usual.refusal_distance


def test_too_few_films_give_no_reference_values() -> None:
    assert fit_reference_values(results(FEWEST - 1)) == {}
    unlabelled = [replace(result, dice=None) for result in results()]
    assert set(fit_reference_values(unlabelled)) == {"film"}
    assert fit_reference_values([]) == {}


def test_a_film_counts_once_however_many_definitions_it_has() -> None:
    field = results()
    both = [*field, *(replace(result, definition="whole", dice=None) for result in field)]
    assert fit_reference_values(both) == fit_reference_values(field)


def test_auroc_and_average_precision_by_hand() -> None:
    # Poor at 0.1 and 0.3, good at 0.2 and 0.4: three of the four pairs are in order.
    scores, poor = np.array([0.1, 0.2, 0.3, 0.4]), np.array([True, False, True, False])
    assert auroc(scores, poor) == 0.75
    # At 0.1 one of one film is poor, at 0.3 two of three.
    assert average_precision(scores, poor) == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)
    assert auroc(scores, np.ones(4, bool)) is None
    assert average_precision(scores, np.zeros(4, bool)) is None


def test_without_films_the_statistics_are_undefined() -> None:
    labelled = verdict_figures([])["labelled"]
    assert labelled["films"] == 0
    for name in ("review", "refused", "mae", "bias", "correlation", "auroc", "average_precision"):
        assert labelled[name] is None
