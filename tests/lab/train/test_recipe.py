"""A recipe is a table with known keys, of known types, within known limits."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.errors import UsageError
from pleura.lab.train.recipe import Augment, Recipe, Stage, load_recipe, parse_recipe
from pleura.lab.train.recipe.recipe import LATER_KEYS, SMALLEST
from pleura.lab.train.recipe.write import recipe_toml
from pleura.net.unetplusplus import Architecture

CHECKOUT = Path(__file__).resolve().parents[3]


def parse(**table: Any) -> Recipe:
    return parse_recipe({"name": "trial", **table})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epoch": 3}, "recipe: unknown key 'epoch'; did you mean 'epochs'?"),
        ({"learning-rate": 3}, "unknown key 'learning-rate'; did you mean 'learning_rate'?"),
        (
            {"network": {"width": [1]}},
            r"recipe \[network\]: unknown key 'width'; did you mean 'wid",
        ),
        ({"augment": {"rotation": 5}}, r"recipe \[augment\]: unknown key 'rotation'; did you mean"),
        ({"xyzzy": 3}, "unknown key 'xyzzy'; known are name, channels, side"),
        # In TOML a key below a table's head belongs to the table, whatever was meant.
        ({"augment": {"epochs": 3}}, r"\[augment\]: unknown key 'epochs'; it belongs above all"),
        (
            {"network": {"flip_chance": 0.5}},
            r"unknown key 'flip_chance'; it belongs in \[augment\]",
        ),
        ({"widths": [4, 8]}, r"recipe: unknown key 'widths'; it belongs in \[network\]"),
        (
            {"stages": [{"epochs": 1}, {"epochs": 2, "sides": 64}]},
            r"recipe \[\[stages\]\] 2: unknown key 'sides'; did you mean 'side'",
        ),
        (
            {"stages": [{"epochs": 1, "batch": 4}]},
            r"\[\[stages\]\] 1: unknown key 'batch'; it belongs above all tables",
        ),
    ],
    ids=str,
)
def test_an_unknown_key_is_an_error_with_a_remedy(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(**table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epochs": "ten"}, "recipe: epochs must be a whole number, got 'ten'"),
        ({"epochs": 2.5}, "epochs must be a whole number, got 2.5"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a number, got '1e-3'"),
        ({"channels": "field"}, "channels must be a list, got 'field'"),
        ({"channels": [1]}, "each of recipe: channels must be text, got 1"),
        ({"network": {"widths": [4, 8.5]}}, "widths must be a whole number, got 8.5"),
        ({"network": {"batch_norm": "no"}}, "batch_norm must be true or false, got 'no'"),
        ({"network": {"batch_norm": 1}}, "batch_norm must be true or false, got 1"),
        ({"network": 3}, r"network must be a table \[network\], got 3"),
        ({"augment": [0.1]}, r"augment must be a table \[augment\], got \[0.1\]"),
        ({"sources": ["jsrt"]}, r"recipe: sources must be a table, got \['jsrt'\]"),
        ({"sources": {"jsrt": "often"}}, "sources.jsrt must be a number, got 'often'"),
        ({"schedule": "onecycle"}, "must be one of 'one-cycle', 'cosine', 'constant'; got 'onecy"),
        ({"network": {"kind": "unet+++"}}, r"must be one of 'unet\+\+', 'unet'; got 'unet\+\+\+'"),
        ({"network": {"encoder": "vgg16"}}, "must be one of 'plain', 'vgg13_bn'; got 'vgg16'"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_kind_is_an_error(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(**table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"batch": -1}, "batch must be 1 or more, got -1"),
        ({"side": 0}, "side must be 1 or more, got 0"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"learning_rate": 0}, "learning_rate must be 1e-09 or more, got 0"),
        ({"learning_rate": math.nan}, "learning_rate must be 1e-09 or more, got nan"),
        ({"weight_decay": math.inf}, "weight_decay must be 0 or more, got inf"),
        ({"gradient_clip": -1.0}, "gradient_clip must be 0 or more"),
        ({"accumulate": 0}, "accumulate must be 1 or more, got 0"),
        ({"batch": 4, "accumulate": 3}, "batch of 4 films cannot be computed in 3 equal parts"),
        ({"warm_up": 1}, r"warm_up must be in \[0, 1\), got 1"),
        ({"warm_up": 0.1}, "one-cycle has a warm-up of its own"),
        ({"early_stop": -1}, "early_stop must be 0 or more"),
        ({"validation_share": 1}, r"validation_share must be in \[0, 1\), got 1"),
        # 4 poolings halve the side 4 times; folding by 2 halves it once more.
        ({"side": 500}, r"multiple of 16 for this network \(4 poolings, fold 1\), got 500"),
        ({"side": 48, "network": {"fold": 2}}, r"multiple of 32 .*\(4 poolings, fold 2\), got 48"),
        ({"small_side": 336, "network": {"fold": 2}}, "small_side must be a multiple of 32"),
        ({"small_side": -32}, "small_side must be 0 or more, got -32"),
        ({"stages": {"epochs": 1}}, r"stages must be tables \[\[stages\]\], got {'epochs': 1}"),
        ({"stages": [{"side": 64}]}, r"\[\[stages\]\] 1: epochs is missing"),
        ({"stages": [{"epochs": 0}]}, "epochs of a stage must be 1 or more, got 0"),
        ({"stages": [{"epochs": 1, "side": 40}]}, "side of stage 1 must be a multiple of 16"),
        (
            {"stages": [{"epochs": 1, "side": 528}]},
            r"stage 1 must be at most side \(512\), got 528",
        ),
        ({"stages": [{"epochs": 1, "augment": 2}]}, r"must be a table \[stages.augment\], got 2"),
        (
            {"stages": [{"epochs": 1, "augment": {"zoom": 1}}]},
            r"augment.zoom must be in \[0, 0.9\], got 1",
        ),
        ({"head_shares": [1, 1]}, r"head_shares must be 4 numbers, .* got \[1.0, 1.0\]"),
        ({"head_shares": [0, 0, 1, 0]}, "none negative and the last above 0"),
        ({"head_shares": [1, 1], "network": {"kind": "unet"}}, "head_shares must be 1 numbers"),
        ({"sources": {"jsrt": 0}}, "sources.jsrt must be above 0, got 0"),
        ({"channels": ["lung"]}, "channels must be some of right_field, .*; got .'lung'"),
        ({"channels": []}, "channels must hold the lungs"),
        ({"channels": ["heart"]}, r"channels must hold the lungs: .*; got \['heart'\]"),
        ({"channels": ["right_field", "left_whole"]}, "channels must hold the lungs"),
        ({"channels": ["field", "field"]}, "each once; got .'field', 'field'"),
        ({"network": {"channels_out": 2}}, "there are 1 channels; leave channels_out out"),
        ({"network": {"channels_in": 3}}, "a film has one channel; leave channels_in out"),
        ({"network": {"widths": [16]}}, "widths must be two or more"),
        ({"augment": {"shift": -0.1}}, r"augment.shift must be in \[0, 1\], got -0.1"),
        ({"augment": {"zoom": 1}}, r"augment.zoom must be in \[0, 0.9\], got 1"),
        ({"augment": {"rotation_deg": 181}}, r"augment.rotation_deg must be in \[0, 180\]"),
        ({"augment": {"flip_chance": math.nan}}, "augment.flip_chance must be in"),
        ({"name": ""}, "name must be usable as a file name, got ''"),
        ({"name": "../x"}, "name must be usable as a file name"),
        ({"init": "shipped", "encoder_weights": "imagenet"}, "leave one out"),
    ],
    ids=str,
)
def test_a_value_out_of_its_limits_is_an_error(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(**table)


def test_every_limit_belongs_to_a_field() -> None:
    assert set(SMALLEST) <= {option.name for option in fields(Recipe)}


def test_later_keys_are_written_only_if_they_are_used() -> None:
    """The plain values of a recipe, and so its digest, are those of older versions."""
    assert not set(Recipe(name="a").as_dict()) & set(LATER_KEYS)
    used = Recipe(name="a", schedule="cosine", warm_up=0.1, accumulate=2)
    assert used.as_dict()["warm_up"] == 0.1
    assert parse_recipe(used.as_dict()) == used


STAGED = """\
side = 64
epochs = 9
learning_rate = 0.1
[[stages]]
epochs = 2
side = 32
learning_rate = 0.2
[[stages]]
epochs = 3
[stages.augment]
shift = 0
noise = 0.1
[augment]
shift = 0.2
zoom = 0.3
"""


def test_stages_follow_one_another_and_then_comes_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "staged.toml"
    path.write_text(STAGED, encoding="utf-8")
    recipe = load_recipe(path)
    usual = Augment(shift=0.2, zoom=0.3)
    first = Stage(epochs=2, side=32, learning_rate=0.2, augment=usual)
    second = Stage(epochs=3, side=64, learning_rate=0.1, augment=Augment(zoom=0.3, noise=0.1))
    last = Stage(epochs=4, side=64, learning_rate=0.1, augment=usual)
    assert [recipe.at(epoch) for epoch in range(9)] == [first] * 2 + [second] * 3 + [last] * 4
    assert parse_recipe(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_card_of_an_older_version_has_its_stage_in_two_keys(tmp_path: Path) -> None:
    """Earlier versions had `early_side` and `early_epochs`; 0 was no such stage."""
    assert parse(side=64, early_side=32, early_epochs=3) == parse(
        side=64, stages=[{"epochs": 3, "side": 32}]
    )
    assert parse(early_side=0, early_epochs=0) == parse()
    path = tmp_path / "old.toml"
    path.write_text("early_side = 32\nearly_epochs = 3\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"early_side is now a stage; write a table \[\[stages\]\]"
    ):
        load_recipe(path)


def test_the_default_recipe_begins_small() -> None:
    recipe = load_recipe(Path("default"))
    assert [recipe.at(epoch).side for epoch in (0, 59, 60, 99)] == [256, 256, 384, 384]


def test_a_nameless_recipe_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"mine\.toml: name is missing"):
        parse_recipe({"epochs": 3}, where="mine.toml")


def test_a_file_is_read_and_named_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "first.toml"
    path.write_text(
        'channels = ["right_field", "left_field"]\nlearning_rate = 1\nside = 64\n'
        "[network]\nwidths = [4, 8]\n[augment]\nshift = 0.1\n",
        encoding="utf-8",
    )
    assert load_recipe(path) == Recipe(
        name="first",
        channels=("right_field", "left_field"),
        learning_rate=1.0,
        side=64,
        network=Architecture(widths=(4, 8), channels_out=2),
        augment=Augment(shift=0.1),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such recipe .*; give a TOML file, or the name of one that ships: .*\bseed\b"),
        (b"epochs: 3", "not a TOML file"),
        (b"\xff\xfe", "not a TOML file"),
    ],
)
def test_invalid_recipes_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_recipe(path)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such recipe"):
        load_recipe(tmp_path)


recipes = st.builds(
    Recipe,
    name=st.sampled_from(["a", "b.c", "é"]),
    channels=st.just(("right_whole", "left_whole", "heart")),
    side=st.sampled_from([64, 512]),
    epochs=st.integers(1, 99),
    learning_rate=st.floats(1e-6, 1),
    schedule=st.sampled_from(["one-cycle", "cosine", "constant"]),
    seed=st.integers(0, 2**31),
    sources=st.dictionaries(st.sampled_from(["a", "b c"]), st.floats(0.1, 9)),
    init=st.sampled_from(["", "shipped", "x.onnx"]),
    network=st.builds(
        Architecture,
        kind=st.sampled_from(["unet", "unet++"]),
        widths=st.lists(st.integers(1, 64), min_size=2, max_size=5),
        channels_out=st.just(3),
        batch_norm=st.booleans(),
        deep_supervision=st.booleans(),
        fold=st.sampled_from([1, 2]),
    ),
    augment=st.builds(Augment, zoom=st.floats(0, 0.9), flip_chance=st.floats(0, 1)),
)


@given(recipes)
def test_a_recipe_survives_plain_values_and_json(recipe: Recipe) -> None:
    assert parse_recipe(json.loads(json.dumps(recipe.as_dict()))) == recipe


@given(recipes)
def test_a_recipe_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{recipe.name}.toml"
    path.write_text(recipe_toml(recipe, {}, heading="A recipe"), encoding="utf-8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize("name", ["default", "fast", "seed", "ablation/unet"])
def test_a_shipped_recipe_survives_its_file(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(Path(name))
    path = tmp_path / f"{recipe.name}.toml"
    path.write_text(recipe_toml(recipe, {}, heading="A recipe"), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_a_file_has_reasons_above_its_keys_and_no_defaults(tmp_path: Path) -> None:
    recipe = parse(side=256, stages=[{"epochs": 3, "augment": {"zoom": 0.2}}])
    reasons = {"side": "One reason,\nin two lines.", "stages": "Slowly first."}
    assert recipe_toml(recipe, reasons, heading="A recipe").splitlines()[:10] == [
        "# A recipe",
        "",
        "# One reason,",
        "# in two lines.",
        "side = 256",
        "",
        "# Slowly first.",
        "[[stages]]",
        "epochs = 3",
        "[stages.augment]",
    ]


def test_head_shares_are_kept_in_plain_values_and_json() -> None:
    recipe = parse(head_shares=[0, 0.1, 0.5, 1])
    assert recipe.head_shares == (0.0, 0.1, 0.5, 1.0)
    assert parse_recipe(json.loads(json.dumps(recipe.as_dict()))) == recipe


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "recipes").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_recipes_that_ship_are_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize("name", ["seed", "ablation/unet"])
def test_a_recipe_that_ships_is_found_by_its_name_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed").mkdir()  # a folder of that name is no recipe
    assert load_recipe(Path(name)) == load_recipe(CHECKOUT / f"recipes/{name}.toml")


def test_a_file_is_preferred_to_the_shipped_recipe_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seed").write_text("epochs = 77\n", encoding="utf-8")
    assert load_recipe(Path("seed")).epochs == 77


def test_the_file_of_a_wrong_value_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for text, message in (
        ("epochs = 0", f"{path}: epochs must be 1 or more, got 0"),
        ("[[stages]]\nepochs = 0", f"{path}: epochs of a stage must be 1 or more, got 0"),
        ("[augment]\nshift = 2", f"{path}: augment.shift must be in [0, 1], got 2.0"),
        ("epochs = 1.5", f"{path}: epochs must be a whole number, got 1.5"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError) as raised:
            load_recipe(path)
        assert str(raised.value) == message


def test_a_random_encoder_is_not_frozen() -> None:
    with pytest.raises(UsageError, match="these are random; name weights with init"):
        parse_recipe({"name": "mine", "freeze": "encoder"})
    assert parse_recipe({"name": "mine", "freeze": "encoder", "init": "shipped"}).init == "shipped"
