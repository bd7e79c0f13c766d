"""The card survives its JSON, and says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.arrays import CHANNELS
from pleura.core.card import Card
from pleura.core.errors import WeightsError

PLAIN = {"name": "n", "version": "0.1.0", "channels": ["field"], "side": 512}

plain_values = st.dictionaries(
    st.text(max_size=5),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    max_size=3,
)
channels = st.sampled_from([("field",), ("whole",), ("field", "heart"), CHANNELS])


@given(
    st.builds(
        Card,
        name=st.text(max_size=9),
        version=st.text(max_size=9),
        channels=channels,
        side=st.integers(1, 4096),
        architecture=plain_values,
        recipe=plain_values,
        scores=plain_values,
        data=plain_values,
        git_revision=st.none() | st.text(max_size=9),
        created=st.none() | st.text(max_size=9),
        licence=st.text(max_size=9),
        temperature=st.floats(0.05, 20),
    )
)
def test_a_card_survives_its_json(card: Card) -> None:
    assert Card.from_json(card.to_json()) == card


def test_definitions_follow_from_the_channels() -> None:
    five = Card(name="n", version="0", channels=CHANNELS, side=512)
    assert five.definitions == ("field", "whole")
    assert five.lungs("whole") == ("right_whole", "left_whole")
    one = Card(name="n", version="0", channels=("whole", "heart"), side=512)
    assert one.definitions == ("whole",)
    assert one.lungs("whole") == ("whole",)
    assert one.lungs("field") == ()


def test_keys_of_a_later_version_are_left_aside() -> None:
    assert Card.from_json(json.dumps({**PLAIN, "new": 1})).name == "n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ["field", "liver"]}, "liver"),
        ({"channels": []}, "no lungs"),
        ({"channels": ["right_field", "heart"]}, "no lungs"),
        ({"channels": ["field", "field"]}, "twice"),
        ({"channels": "field"}, "list of names"),
        ({"channels": [1]}, "does not know"),
        ({"side": 0}, "side"),
        ({"side": "512"}, "side"),
        ({"side": True}, "side"),
        ({"name": 3}, "name"),
        ({"temperature": 0}, "temperature must be a number from 0.05 to 20, got 0"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"scores": [1]}, "scores"),
    ],
)
def test_a_wrong_card_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Card.from_json(json.dumps({**PLAIN, **change}))


@pytest.mark.parametrize("missing", PLAIN)
def test_a_missing_key_is_named(missing: str) -> None:
    rest = {key: value for key, value in PLAIN.items() if key != missing}
    with pytest.raises(WeightsError, match=f"lacks {missing}"):
        Card.from_json(json.dumps(rest))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_no_json_object_is_no_card(text: str) -> None:
    with pytest.raises(WeightsError, match="JSON"):
        Card.from_json(text)
