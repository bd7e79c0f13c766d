"""Tests of the parts of a run: which films a shard has, and how a shard is named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.errors import UsageError
from pleura.io.run.shard import Shard, films_digest, shards_in


@given(st.text(), st.integers(1, 40))
def test_a_film_belongs_to_one_shard(name: str, count: int) -> None:
    name = name.encode(errors="surrogatepass").decode(errors="surrogateescape")
    assert sum(Shard(number, count).has(name) for number in range(1, count + 1)) == 1


def test_the_hash_is_stable() -> None:
    assert Shard(10, 16).has("siteA/a")  # by hand, with Python's hashlib


def test_shards_of_many_films_are_about_equal() -> None:
    names = [f"film{number}" for number in range(16_000)]
    sizes = [sum(map(Shard(number, 16).has, names)) for number in range(1, 17)]
    assert min(sizes) > 850  # 1,000 are expected, with a standard deviation of 31
    assert max(sizes) < 1_150


@pytest.mark.parametrize(
    ("text", "shard"), [("3/16", Shard(3, 16)), (" 1 / 1 ", Shard(1, 1)), ("016/16", Shard(16, 16))]
)
def test_a_shard_is_read_as_it_is_written(text: str, shard: Shard) -> None:
    assert Shard.parse(text) == shard
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3-16", "-1/4", "a/b", "1/0", ""])
def test_other_texts_are_errors(text: str) -> None:
    with pytest.raises(UsageError, match="from 1/16 to 16/16"):
        Shard.parse(text)


def test_folders_sort_as_numbers_do(tmp_path: Path) -> None:
    assert Shard(3, 16).folder == Path("shards/03-of-16")
    for shard in (Shard(10, 16), Shard(2, 16)):
        (tmp_path / shard.folder).mkdir(parents=True)
    (tmp_path / "shards" / "notes").mkdir()
    assert shards_in(tmp_path) == [Shard(2, 16), Shard(10, 16)]
    assert shards_in(tmp_path / "none") == []


def test_the_digest_depends_on_all_names() -> None:
    assert films_digest(["a", "b"]) == hashlib.sha256(b"a\nb\n").hexdigest()
    assert films_digest(["a", "b"]) != films_digest(["a"])
