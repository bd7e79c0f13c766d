"""Scores of several networks on the same films; each film and its masks are read once."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.evaluate.case import Evaluator, Pair
from pleura.lab.evaluate.evaluation import EvaluationSettings, choose
from pleura.lab.train.recipe import load_recipe
from pleura.lab.train.run import divide
from pleura.runtime.engine import Engine

Key = TypeVar("Key", bound=Hashable)


class Held:
    """A `Film` that keeps its image and labels after the first reading."""

    def __init__(self, film: Film) -> None:
        self._film = film

    def __getattr__(self, name: str) -> Any:
        return getattr(self._film, name)

    @cached_property
    def _image(self) -> Any:
        return self._film.read_image()

    @cached_property
    def _labels(self) -> Any:
        return self._film.read_labels()

    def read_image(self) -> Any:
        return self._image

    def read_labels(self) -> Any:
        return self._labels


def films_of(options: argparse.Namespace, split: str) -> list[Film]:
    """The films of a split that have a mask, at most `--limit` of each set."""
    return [
        film
        for data in options.data
        for film in choose(EvaluationSettings(data=(data,), split=split, limit=options.limit)).films
    ]


def validation_films(options: argparse.Namespace) -> list[Film]:
    """The validation films of training, at most `--limit` of each source.

    A set without a validation split gives part of its training films, as in training.
    """
    recipe = load_recipe(Path("default"))
    read = [film for data in options.data for film in read_films(data, layout="auto", split=None)]
    _, held = divide(read, recipe)
    by_source: dict[str, list[Film]] = {}
    for film in held:
        by_source.setdefault(film.source, []).append(film)
    return [film for films in by_source.values() for film in films[: options.limit]]


def judged(
    films: list[Film], engines: Mapping[Key, Engine]
) -> Iterator[tuple[Film, dict[Key, Pair]]]:
    """Each film with both lungs as labelled and as every engine finds them, by the definition
    that the film labels, at the masks' own size; films of another definition are left out."""
    judges = {key: Evaluator(engine) for key, engine in engines.items()}
    for film in films:
        held: Any = Held(film)
        pairs: dict[Key, Pair] = {}
        for key, judge in judges.items():
            examined = judge.examine(held)
            if examined.definition == examined.predicted_definition:
                pairs[key] = next(pair for pair in examined.pairs if pair.structure == "lungs")
        if pairs:
            yield film, pairs


def add_film_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, action="append", required=True, help="repeatable")
    parser.add_argument("--limit", type=int, help="at most so many films of each set")
    parser.add_argument("--threads", type=int, default=None)
