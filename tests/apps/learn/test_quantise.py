"""`pleura export --head --side` and `pleura quantise`: smaller weights, from the shell's side."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pleura.core.arrays import CHANNELS
from pleura.core.card import Card
from pleura.lab.train.export import write_weights
from pleura.net.unetplusplus import Architecture, build
from pleura.runtime.engine import OnnxEngine

Run = Callable[..., Any]
SMALL = Architecture(widths=(4, 8, 8), channels_out=5, fold=2)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Untrained five-channel weights."""
    torch.manual_seed(0)
    card = Card(
        name="five", version="0.1", channels=CHANNELS, side=64, architecture=SMALL.as_dict()
    )
    return write_weights(build(SMALL).eval(), card, tmp_path / "weights" / "five")


@pytest.fixture
def labelled(films: Path) -> Path:
    """Nine films for training and one for the test that must never be read: it is not there."""
    rows = [[f"train{n}", "a.png" if n % 2 else "b.png", "train"] for n in range(9)]
    with (films / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "split"])
        writer.writerows([*rows, ["test0", "missing.png", "test"]])
    return films


def test_int8_weights_have_a_card_with_their_precision(
    run: Run, weights: Path, labelled: Path, tmp_path: Path
) -> None:
    ended = run("quantise", weights, "--data", labelled, "--films", 6, "-q")
    assert ended.code == 0, ended.err
    made = Path(ended.out.strip())
    assert made == weights.with_name("five-int8.onnx")
    content = made.read_bytes()
    assert made.with_name("five-int8.onnx.sha256").read_text().split()[0] == (
        hashlib.sha256(content).hexdigest()
    )
    card = OnnxEngine(content, threads=1).card
    assert (card.precision, card.channels) == ("int8", CHANNELS)
    assert card.made_from == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card.data["calibrated_on"] == 6
    # 9 training films: a fifth of them, rounded down, is kept to check with
    assert card.scores["int8_agreement"]["films"] == 1
    ended = run("segment", labelled / "a.png", "-o", tmp_path / "out", "--weights", made, "-q")
    assert ended.code == 0, ended.err
    assert " cpu int8" in (tmp_path / "out" / "run.json").read_text()


def test_one_split_holds_for_several_sets_and_a_fold_is_left_out(
    run: Run, weights: Path, labelled: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    rows = ["id,image", *(f"more{n},{labelled / 'a.png'}" for n in range(6))]
    (other / "manifest.csv").write_text("\n".join(rows))
    names = [*(f"train{n}" for n in range(9)), *(f"more{n}" for n in range(6))]
    table = [f"{name},train,{1 + index % 3}" for index, name in enumerate(names)]
    splits = tmp_path / "folds.csv"
    splits.write_text("\n".join(["id,split,fold", *table]))
    sets = ("--data", labelled, "--data", other)
    ended = run("quantise", weights, *sets, "--splits", splits, "--fold", 2, "-q")
    assert ended.code == 0, ended.err
    # Of 15 films 5 are of fold 2; of the other 10 a fifth is kept to check with.
    assert "calibrated on 8 films; Dice with the fp32 masks on 2 other films" in ended.err


def test_too_few_training_films_are_reported(run: Run, weights: Path, labelled: Path) -> None:
    table = labelled / "manifest.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:4]))
    ended = run("quantise", weights, "--data", labelled, "-q")
    assert ended.code == 2
    assert "3 films of split 'train', expected 5 or more" in ended.err


def test_a_smaller_network_is_exported(run: Run, weights: Path, tmp_path: Path) -> None:
    options = ("--head", 1, "--side", 32, "--name", "quick")
    ended = run("export", weights, "-o", tmp_path / "quick", *options)
    assert ended.code == 0, ended.err
    quick = tmp_path / "quick" / "quick.onnx"
    card = OnnxEngine(quick.read_bytes(), threads=1).card
    assert (card.side, card.name, card.channels) == (32, "quick", CHANNELS)
    assert Architecture(**card.architecture).widths == SMALL.widths[:2]
    assert card.made_from == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert quick.stat().st_size < weights.stat().st_size


def test_weights_are_not_replaced_by_their_own_export(run: Run, weights: Path) -> None:
    before = weights.read_bytes()
    ended = run("export", weights, "-o", weights.parent)
    assert ended.code == 2
    assert "would be replaced by its export; give another name or folder" in ended.err
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--head", 7), "heads L1, L2, not L7"),
        (("--side", 36), "multiple of 8"),
    ],
)
def test_an_impossible_network_gives_exit_code_2(
    run: Run, weights: Path, tmp_path: Path, options: tuple[Any, ...], message: str
) -> None:
    ended = run("export", weights, "-o", tmp_path / "out", *options)
    assert ended.code == 2
    assert message in ended.err


def test_impossible_options_of_the_engine_are_wrong_usage(
    run: Run, films: Path, weights: Path, tmp_path: Path
) -> None:
    given = ("segment", films, "-o", tmp_path / "out", "--weights", weights, "-q")
    for options, item in (
        (("--precision", "int8"), "are fp32, not int8"),
        (("--device", "cuda"), "cannot compute on 'cuda'"),
        (("--fast",), "--fast takes a smaller shipped network"),
    ):
        ended = run(*given, *options)
        assert (ended.code, item in ended.err) == (2, True), ended.err
    ended = run(*given, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    assert '"engine": "onnxruntime ' in (tmp_path / "out" / "run.json").read_text()


def test_an_engine_that_is_not_installed_names_its_extra(
    run: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ended = run("segment", films, "-o", tmp_path / "out", "--engine", "onnxruntime")
    assert ended.code == 2
    assert 'pip install "pleura[onnxruntime]"' in ended.err


def test_the_card_states_the_licence_that_is_given(run: Run, weights: Path, tmp_path: Path) -> None:
    before = OnnxEngine(weights.read_bytes(), threads=1).card
    for name, options, licence in (
        ("same", (), before.licence),
        ("own", ("--licence", "CC BY 4.0"), "CC BY 4.0"),
    ):
        ended = run("export", weights, "-o", tmp_path / "out", "--name", name, *options)
        assert ended.code == 0, ended.err
        card = OnnxEngine((tmp_path / "out" / f"{name}.onnx").read_bytes(), threads=1).card
        assert card == replace(before, licence=licence)


def test_channels_that_are_not_good_enough_can_be_left_out(
    run: Run, weights: Path, tmp_path: Path
) -> None:
    kept = ("left_field", "right_field")
    options = [word for channel in kept for word in ("--channel", channel)]
    ended = run("export", weights, "-o", tmp_path / "out", "--name", "two", *options)
    assert ended.code == 0, ended.err
    engines = [
        OnnxEngine(path.read_bytes(), threads=1) for path in (weights, tmp_path / "out/two.onnx")
    ]
    assert engines[1].card.channels == kept
    batch = np.random.default_rng(0).random((1, 1, 64, 64), dtype=np.float32)
    whole, cut = (engine.predict(batch) for engine in engines)
    indices = [CHANNELS.index(channel) for channel in kept]
    np.testing.assert_allclose(cut, whole[:, indices], atol=1e-6)
    wrong = run("export", weights, "-o", tmp_path / "out", "--channel", "spleen")
    assert wrong.code == 2
    assert "some of right_field" in wrong.err
