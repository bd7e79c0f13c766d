"""The choice of engine, device, precision and weights, in its one place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pleura.core.card import Card
from pleura.core.errors import UsageError, WeightsError
from pleura.runtime import open as engines
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import Choice, has_shipped, open_weights, shipped, shipped_name

CARD = Card(name="dark", version="0.1.0", channels=("field",), side=64)
Make = Callable[..., bytes]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onxruntime"}, "did you mean 'onnxruntime'"),
        ({"engine": "zzz"}, "known are auto, openvino, onnxruntime"),
        ({"device": "cpus"}, "did you mean 'cpu'"),
        ({"precision": "int9"}, "did you mean 'int8'"),
        ({"engine": "openvino", "device": "cuda"}, "take onnxruntime"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "take --engine openvino"),
        ({"device": "cuda", "precision": "bf16"}, "take --engine openvino"),
    ],
)
def test_an_impossible_choice_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Choice(**options)


@pytest.mark.parametrize("device", ["cuda", "coreml"])
def test_a_device_that_is_not_there_is_no_silent_cpu(dark_weights: Make, device: str) -> None:
    with pytest.raises(UsageError, match=f"cannot compute on '{device}'"):
        OnnxEngine(dark_weights(CARD.to_json()), device=device)


def test_weights_of_ones_own_are_taken_as_they_are(dark_weights: Make) -> None:
    fp32 = dark_weights(CARD.to_json())
    int8 = dark_weights(replace(CARD, precision="int8").to_json())
    assert open_weights(fp32).name.endswith("cpu fp32")
    assert open_weights(int8).name.endswith("cpu int8")
    with pytest.raises(UsageError, match="are fp32, not int8"):
        open_weights(fp32, choice=Choice(precision="int8"))
    with pytest.raises(UsageError, match="leave it or --weights out"):
        open_weights(fp32, choice=Choice(fast=True))


@pytest.fixture
def stocked(
    dark_weights: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., None]:
    """Makes an installation with these shipped weights, on a CPU where int8 pays or not."""

    def stock(*names: str, pays: bool, stale: bool = False) -> None:
        folder = tmp_path / "weights"
        folder.mkdir()
        digests: dict[str, str] = {}
        for name in names:
            precision = "int8" if "int8" in name else "fp32"
            source = None if stale else digests.get(name.replace("-int8", ""))
            card = replace(CARD, name=name, precision=precision, made_from=source)
            content = dark_weights(card.to_json())
            digests[name] = hashlib.sha256(content).hexdigest()
            (folder / name).write_bytes(content)
            (folder / f"{name}.sha256").write_text(hashlib.sha256(content).hexdigest())
        monkeypatch.setattr("pleura.runtime.open.resources.files", lambda _: tmp_path)
        monkeypatch.setattr(engines, "int8_pays", lambda: pays)

    return stock


EVERY = ("pleura.onnx", "pleura-fast.onnx", "pleura-int8.onnx", "pleura-fast-int8.onnx")


@pytest.mark.parametrize(
    ("pays", "choice", "taken"),
    [
        (True, Choice(), "pleura-int8.onnx"),
        (False, Choice(), "pleura.onnx"),
        (True, Choice(precision="fp32"), "pleura.onnx"),
        (False, Choice(precision="int8"), "pleura-int8.onnx"),
        (True, Choice(fast=True), "pleura-fast-int8.onnx"),
        (False, Choice(fast=True), "pleura-fast.onnx"),
    ],
)
def test_the_default_precision_depends_on_the_cpu(
    stocked: Callable[..., None], pays: bool, choice: Choice, taken: str
) -> None:
    stocked(*EVERY, pays=pays)
    assert open_weights(choice=choice).card.name == taken


def test_int8_weights_of_other_weights_are_left_alone(stocked: Callable[..., None]) -> None:
    stocked(*EVERY, pays=True, stale=True)
    assert open_weights().card.name == "pleura.onnx"


def test_without_int8_weights_auto_is_fp32(stocked: Callable[..., None]) -> None:
    stocked("pleura.onnx", pays=True)
    assert open_weights().card.name == "pleura.onnx"
    with pytest.raises(WeightsError, match=r"pleura-int8\.onnx .* missing"):
        open_weights(choice=Choice(precision="int8"))


def test_the_shipped_int8_weights_are_made_of_the_fp32_weights() -> None:
    """After a change of weights: "New weights" in docs/explanation/performance.md."""
    card = OnnxEngine(shipped(), threads=1).card
    for fast in (False, True):
        if not has_shipped(shipped_name("int8", fast=fast)):
            continue
        made = OnnxEngine(shipped(shipped_name("int8", fast=fast)), threads=1).card
        full = shipped(shipped_name("fp32", fast=fast))
        assert made.made_from == hashlib.sha256(full).hexdigest()
        assert made.channels == card.channels
        assert made.precision == "int8"
    if has_shipped(shipped_name("fp32", fast=True)):
        fast_card = OnnxEngine(shipped(shipped_name("fp32", fast=True)), threads=1).card
        assert fast_card.channels == card.channels
        assert fast_card.side < card.side
