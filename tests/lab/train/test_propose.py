"""The recipe proposed for a data set follows from its facts, and reads back from its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pleura.core.errors import DataError
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.train.recipe import Recipe, Stage, load_recipe
from pleura.lab.train.recipe.propose import Fingerprint, fingerprint_of, propose

FACTS = Fingerprint(
    training=500,
    validation=60,
    sources={"clinic": 500},
    labelled={"field": 500, "right_field": 500, "left_field": 500},
    longest_sides=(300, 2000, 3000),
)


def labels(*channels: str, films: int = 500) -> dict[str, int]:
    return dict.fromkeys(channels, films)


def recipe_for(**facts: object) -> Recipe:
    return propose(replace(FACTS, **facts), "mine").recipe  # type: ignore[arg-type]


def test_the_settings_of_500_films_of_one_hospital() -> None:
    recipe = recipe_for()
    # 16 uses of each film; 0.6 of the epochs are on small squares.
    assert (recipe.epochs, recipe.films_per_epoch, recipe.batch) == (16, 0, 4)
    assert recipe.stages == (Stage(epochs=10, side=256),)
    assert (recipe.side, recipe.balance) == (384, 0.0)
    # 8000 uses in steps of 4 are 2000 steps: 1 - 20 / 2000 averages over about 100.
    assert recipe.ema_decay == 0.99
    default = load_recipe(Path("default"))
    assert recipe.augment == default.augment
    assert replace(recipe.network, channels_out=5) == default.network
    assert recipe.init == ""


@pytest.mark.parametrize(
    ("training", "uses", "per_epoch", "batch"),
    [
        (24, 8000, 200, 4),
        (200, 8000, 0, 4),
        (1600, 25_600, 0, 8),
        (5000, 80_000, 1600, 8),
        (100_000, 160_000, 1600, 8),
    ],
)
def test_few_films_are_used_more_often(
    training: int, uses: int, per_epoch: int, batch: int
) -> None:
    recipe = recipe_for(training=training)
    assert recipe.epochs * (per_epoch or training) == uses
    assert (recipe.films_per_epoch, recipe.batch) == (per_epoch, batch)


@pytest.mark.parametrize(
    ("sides", "side"),
    [((512,), 384), ((224, 224, 4000), 224), ((200,), 224), ((250, 260), 256), ((385,), 384)],
)
def test_the_side_is_that_of_the_films_but_at_most_384(sides: tuple[int, ...], side: int) -> None:
    recipe = recipe_for(longest_sides=sides)
    assert recipe.side == side
    assert bool(recipe.stages) == (side > 256)


@pytest.mark.parametrize(
    ("labelled", "channels"),
    [
        (labels("whole", "right_whole", "left_whole"), ("right_whole", "left_whole")),
        (
            {**labels("field", "right_field", "left_field"), "heart": 10},
            ("right_field", "left_field", "heart"),
        ),
        (
            {**labels("field", "right_field", "left_field"), "heart": 9},
            ("right_field", "left_field"),
        ),
        (
            {**labels("field", "right_field", "left_field", films=6), "heart": 6},
            ("right_field", "left_field", "heart"),
        ),
    ],
)
def test_channels_are_those_that_enough_masks_label(
    labelled: dict[str, int], channels: tuple[str, ...]
) -> None:
    proposal = propose(replace(FACTS, labelled=labelled), "mine")
    assert proposal.recipe.channels == channels
    assert any("heart: 9 films" in note for note in proposal.notes) == (labelled.get("heart") == 9)


def test_without_lungs_there_is_no_proposal() -> None:
    with pytest.raises(DataError, match="the masks label heart"):
        recipe_for(labelled={"heart": 500})


def test_small_sources_are_used_more_often() -> None:
    assert recipe_for(sources={"a": 400, "b": 100}).balance == 0.4


def test_few_films_without_a_validation_part_give_a_fifth() -> None:
    assert recipe_for(training=40, unvalidated=("clinic",)).validation_share == 0.2
    assert recipe_for(training=40).validation_share == 0.1
    assert recipe_for(training=400, unvalidated=("clinic",)).validation_share == 0.1


@given(
    training=st.integers(1, 10**6),
    sides=st.lists(st.integers(1, 5000), min_size=1, max_size=9).map(sorted).map(tuple),
    sources=st.sampled_from([{"a": 5}, {"a b": 5, 'c"d': 2}]),
    heart=st.booleans(),
)
def test_a_proposal_reads_back_from_its_file(
    tmp_path_factory: pytest.TempPathFactory,
    training: int,
    sides: tuple[int, ...],
    sources: dict[str, int],
    heart: bool,
) -> None:
    facts = replace(FACTS, training=training, longest_sides=sides, sources=sources)
    labelled = labels("right_field", "left_field", *["heart"] * heart, films=training)
    proposal = propose(replace(facts, labelled=labelled), "mine")
    path = tmp_path_factory.getbasetemp() / "mine.toml"
    path.write_text(proposal.toml(), encoding="utf-8")
    assert load_recipe(path) == proposal.recipe


def test_the_fingerprint_counts_films_labels_and_sizes(tmp_path: Path) -> None:
    def film(name: str, split: str, size: tuple[int, int], *channels: str) -> Film:
        path = tmp_path / f"{name}.png"
        Image.linear_gradient("L").resize(size).rotate(ord(name)).save(path)
        parts = tuple(MaskPart(path, channel) for channel in channels)
        return Film(name, "a" if split == "val" else "b", path, parts, split)

    films = [
        film("p", "train", (300, 200), "field"),
        film("q", "train", (100, 400), "field", "heart"),
        film("r", "train", (900, 900)),  # without a mask
        film("s", "val", (800, 800), "field"),
        film("t", "test", (700, 700), "field"),
    ]
    opened: list[int] = []
    facts = fingerprint_of(films, on_film=lambda: opened.append(1))
    assert facts == Fingerprint(
        training=1,  # p: a fifth of the two films of b, rounded up, is q
        validation=2,
        held_out=1,
        undivided=1,
        sources={"b": 1},
        labelled={"field": 1, "right_field": 1, "left_field": 1},
        longest_sides=(300,),
        unvalidated=("b",),
    )
    assert len(opened) == 1
    films[0].image.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"p\.png: .*pleura data check"):
        fingerprint_of(films)
    with pytest.raises(DataError, match=r"0 films of split 'train'.*pleura data split"):
        fingerprint_of(films[3:])


def test_the_reasons_are_true_of_the_films() -> None:
    apart = propose(replace(FACTS, sources={"a": 250, "b": 250}), "mine").toml()
    assert "# For 500 films to train on and 60 to validate on, of a, b." in apart
    assert "divided" not in apart
    assert "Sources differ" not in apart
    assert "balance" not in apart
    unwrapped = apart.replace("\n# ", " ")
    assert "300 to 3000, in the median 2000 px; a proposal has 384 px at most" in unwrapped
    assert "\n# Small batches give few films enough steps.\nbatch = 4\n" in apart
    joint = propose(replace(FACTS, undivided=1), "mine").toml()
    assert "Masks of both lungs are divided into right and left." in joint.replace("\n# ", " ")
    # 160,000 uses in steps of 8 are 20,000, and 1 / (1 - 0.998) is 500.
    many = propose(replace(FACTS, training=20_000), "mine").toml()
    assert "# The weights are averaged over about the last 500 of 20000 steps." in many
    assert "\n# As for the shipped weights.\nbatch = 8\n" in many
    assert "films: a part of them.\nfilms_per_epoch = 1600\n" in many
    few = propose(replace(FACTS, training=20, unvalidated=("clinic",), held_out=5), "mine").toml()
    assert "films: each is used several times.\nfilms_per_epoch = 200\n" in few
    assert "# No films of split val in clinic: 5 films of split train are used for" in few
