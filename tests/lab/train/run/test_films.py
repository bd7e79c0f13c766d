"""Which films a run trains and validates on, and how often it uses each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.train.run.tiny import RECIPE

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, fingerprint
from pleura.lab.train.run import balance, divide


def test_films_are_divided_with_masks_only(films: list[Film]) -> None:
    training, validation = divide(films, RECIPE)
    assert [film.id for film in training] == [f"f{i}" for i in range(6)]
    assert [film.id for film in validation] == ["f6", "f7"]


def test_a_copy_of_a_test_film_is_not_trained_on(
    films: list[Film], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "renamed.png"
    copy.write_bytes(films[0].image.read_bytes())
    tested = replace(films[0], id="tested", image=copy, split="test")
    training, validation = divide([*films, tested], RECIPE)
    plain = divide(films, RECIPE)
    left_out = {film.id for part in plain for film in part} - {
        film.id for part in (training, validation) for film in part
    }
    assert left_out == {films[0].id}
    assert films[0].id in caplog.text


def test_films_of_small_sources_are_used_more_often(films: list[Film]) -> None:
    twelve = [replace(film, source="large") for film in (films * 9)[:9]]
    twelve += [replace(film, source="small") for film in films[:1]]
    # 9 ** 0.5 : 1 ** 0.5 is 3 : 1, of 20 films in all.
    shares = balance(twelve, replace(RECIPE, balance=0.5, films_per_epoch=20))
    assert shares[:9].sum() == pytest.approx(15)
    assert shares[9] == pytest.approx(5)
    assert balance(twelve, RECIPE) == pytest.approx(1)
    # 9 : 1 without balance; three times the second is 9 : 3, of 20 films.
    shares = balance(twelve, replace(RECIPE, sources={"small": 3.0}, films_per_epoch=20))
    assert shares[:9].sum() == pytest.approx(15)
    assert shares[9] == pytest.approx(5)


def test_a_film_of_twice_the_weight_is_used_twice_as_often(films: list[Film]) -> None:
    weighed = [
        replace(film, weight=weight) for film, weight in zip(films[:3], (1, 2, 0.5), strict=True)
    ]
    # 3.5 parts of seven films are two films each.
    shares = balance(weighed, replace(RECIPE, films_per_epoch=7))
    assert shares == pytest.approx([2, 4, 1])
    assert fingerprint(weighed) != fingerprint(films[:3])


def test_a_source_that_no_film_is_from_is_named(films: list[Film]) -> None:
    with pytest.raises(UsageError, match="names mall, but these films are from small"):
        balance(
            [replace(film, source="small") for film in films],
            replace(RECIPE, sources={"mall": 2.0}),
        )


def test_validation_films_are_taken_where_there_are_none(films: list[Film]) -> None:
    bare = [film for film in films if film.split == "train"]
    training, validation = divide(bare, replace(RECIPE, validation_share=0.3))
    assert len(validation) == 2
    assert {film.id for film in [*training, *validation]} == {f"f{i}" for i in range(6)}


def test_a_chain_of_recipes_validates_on_the_same_films(films: list[Film]) -> None:
    """Another seed must not choose weights on films that the run before was trained on."""
    bare = [film for film in films if film.split == "train"]
    first = divide(bare, replace(RECIPE, validation_share=0.3))
    for seed in range(1, 9):
        assert divide(bare, replace(RECIPE, validation_share=0.3, seed=seed)) == first
    others = [
        divide(bare, replace(RECIPE, validation_share=0.3, validation_seed=seed))
        for seed in range(8)
    ]
    assert any(other != first for other in others)


@pytest.mark.parametrize(
    ("keep", "processes", "message"),
    [
        ("test", 1, "0 films of split 'train' with a mask among 3, at least 1 needed"),
        ("val", 1, "0 films of split 'train'"),
        ("train val", 3, "2 films of split 'val' .* at least 3 needed; see `pleura data check`"),
    ],
)
def test_too_few_films_are_an_error(
    films: list[Film], keep: str, processes: int, message: str
) -> None:
    some = [film for film in films if film.split in keep.split()]
    with pytest.raises(DataError, match=message):
        divide(some, RECIPE, processes=processes)
