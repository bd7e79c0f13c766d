"""What every room's tests share: where the real films are, and how hypothesis behaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import settings
from onnx import TensorProto, helper

CHECKOUT = Path(__file__).resolve().parents[1]

# pytest runs one process per core. More threads in each of them would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("pleura", deadline=None)  # a busy machine is no failure
settings.load_profile("pleura")


@pytest.fixture(scope="session")
def films_root() -> Path:
    """The folder of real films (shenzhen_montgomery, jsrt, openist, dicom, ...)."""
    named = os.environ.get("PLEURA_FILMS")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no real films at {folder}: set PLEURA_FILMS to the folder that holds "
            "shenzhen_montgomery, jsrt, openist, dicom, ... to run this test"
        )
    return folder


@pytest.fixture(scope="session")
def dark_weights() -> Callable[..., bytes]:
    """Makes weights whose answer is known: every channel's probability is 1 - x, dark is lung.

    `dark_weights(card, maps=1, side=64)` are the bytes of an ONNX file that carries the text
    `card`, or no card if that is None.
    """

    def make(card: str | None, *, maps: int = 1, side: int = 64) -> bytes:
        graph = helper.make_graph(
            [
                helper.make_node("Sub", ["one", "image"], ["dark"]),
                helper.make_node("Concat", ["dark"] * maps, ["probabilities"], axis=1),
            ],
            "dark-is-lung",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, side, side])],
            [
                helper.make_tensor_value_info(
                    "probabilities", TensorProto.FLOAT, ["n", maps, side, side]
                )
            ],
            [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
        )
        opset = helper.make_opsetid("", 18)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        if card is not None:
            helper.set_model_props(model, {"pleura": card})
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    return make
