"""The device of a run, and runs on several devices or processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.lab.train.run.tiny import QUIET, RECIPE, held, rows

from pleura.core.errors import UsageError
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.train import run as train_module
from pleura.lab.train.machine import Machine
from pleura.lab.train.module import fresh_network
from pleura.lab.train.recipe import Augment, Recipe
from pleura.lab.train.run import train
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import Architecture


def test_a_batch_is_divided_among_the_devices(films: list[Film], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a batch of 3 films cannot be divided among 2 devices"):
        train(replace(RECIPE, batch=3), films, tmp_path, machine=replace(QUIET, devices=2))


def test_an_epoch_has_as_many_steps_on_two_devices() -> None:
    recipe = replace(RECIPE, batch=4)
    one, two = (train_module._steps(recipe, Machine(devices=count), 12) for count in (1, 2))
    assert one == two == 3


@pytest.mark.parametrize(
    "choice",
    [
        {"accelerator": "cuda"},
        {"accelerator": "abacus"},
        {"strategy": "nonsense"},
        {"precision": "13-mixed"},
    ],
    ids=str,
)
def test_a_machine_that_is_not_there_is_an_error(
    films: list[Film], tmp_path: Path, choice: dict[str, str]
) -> None:
    if choice == {"accelerator": "cuda"} and torch.cuda.is_available():
        pytest.skip("this machine has what the test says it lacks")
    with pytest.raises(
        UsageError, match=r"cannot train with these options: .* Choose another --acc"
    ):
        train(RECIPE, films, tmp_path, machine=replace(QUIET, **choice))


def test_the_device_is_chosen_and_its_precision_with_it() -> None:
    assert Machine(accelerator="cpu").device == "cpu"
    assert Machine(accelerator="cpu", precision="32-true").resolved_precision == "32-true"
    chosen = Machine()
    expected = "cuda" if torch.cuda.is_available() else chosen.device
    assert chosen.device == expected
    assert chosen.device in ("cuda", "mps", "cpu")
    # bf16 on a CPU only where it computes in it: emulated, it is many times slower.
    native = torch.cpu._is_avx512_bf16_supported()
    assert Machine(accelerator="cpu").resolved_precision == ("bf16-mixed" if native else "32-true")


TWO = Recipe(
    name="two",
    side=32,
    epochs=2,
    batch=2,
    network=Architecture(widths=(2, 4)),
    augment=Augment(shift=0.05, noise=0.05),
    ema_decay=0.5,
    early_stop=5,
)

SCRIPT = """
import json
import sys
from datetime import timedelta
from pathlib import Path

from pleura.lab.data.layouts import read_films
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import parse_recipe
from pleura.lab.train.run import train

recipe = parse_recipe(json.loads(sys.argv[3]))
machine = Machine(
    accelerator="cpu",
    precision="32-true",
    devices=2,
    strategy="ddp",
    max_time=timedelta(hours=1),
    progress=False,
)
outcome = train(recipe, read_films(Path(sys.argv[1])), Path(sys.argv[2]), machine=machine)
print(outcome.finished, outcome.epochs_done, outcome.val_dice is not None, flush=True)
"""


@pytest.fixture
def partly_labelled(films: list[Film], tmp_path: Path) -> Path:
    """The folder of films, half of which label the right lung alone."""
    folder = tmp_path / "films"
    shutil.copytree(films[0].image.parent, folder)
    manifest = (folder / "manifest.csv").read_text(encoding="utf-8")
    for index in (1, 2, 4):
        both = f"f{index}_mask.png,train,right_field=1;left_field=2"
        assert both in manifest
        manifest = manifest.replace(both, both.removesuffix(";left_field=2"))
    (folder / "manifest.csv").write_text(manifest, encoding="utf-8")
    return folder


def test_two_processes_reach_the_weights_of_one(partly_labelled: Path, tmp_path: Path) -> None:
    """With batch normalisation, and films that label only a part of the channels."""
    script, out = tmp_path / "two.py", tmp_path / "two"
    script.write_text(SCRIPT, encoding="utf-8")
    recipe = json.dumps(TWO.as_dict())
    command = [sys.executable, str(script), str(partly_labelled), str(out), recipe]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as run:
        machine = Machine(accelerator="cpu", precision="32-true", progress=False)
        train(TWO, read_films(partly_labelled), tmp_path / "one", machine=machine)
        try:
            printed, error = run.communicate(timeout=240)
        finally:  # processes that wait for each other would wait for ever
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, error
    assert printed.splitlines() == ["True 2 True"] * 2, error
    # Three of six films for each process, one a step: the batch of two is for both together.
    assert held(out)["global_step"] == held(tmp_path / "one")["global_step"] == 6
    assert len(rows(out)) == 2
    assert_close_weights(tmp_path / "one", out)


def assert_close_weights(one: Path, two: Path) -> None:
    """The weights are equal to rounding, which Adam enlarges where a gradient is nearly zero."""
    start, learned = fresh_network(TWO).state_dict(), 0.0
    weights, others = held(one)["state_dict"], held(two)["state_dict"]
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        torch.testing.assert_close(others[name], values, rtol=1e-4, atol=5e-5)
        before = start.get(name.removeprefix("network."))
        learned += 0.0 if before is None else float((values - before).abs().sum())
    assert learned > 0.01  # they are not just the same first weights
    exported = [read_network(out / "weights" / "two.onnx")[0].state_dict() for out in (one, two)]
    for name, values in exported[0].items():
        torch.testing.assert_close(exported[1][name], values, rtol=1e-4, atol=5e-5)


LONG_SCRIPT = """
import sys
from pathlib import Path

from pleura.apps.cli.main import _end
from pleura.lab.data.layouts import read_films
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Recipe
from pleura.lab.train.run import train
from pleura.net.unetplusplus import Architecture

recipe = Recipe(name="long", side=32, epochs=9000, batch=2, network=Architecture(widths=(2, 4)))
devices, workers = map(int, sys.argv[3:])
machine = Machine(
    accelerator="cpu",
    devices=devices,
    strategy="ddp" if devices > 1 else "auto",
    workers=workers,
    progress=False,
)
try:
    train(recipe, read_films(Path(sys.argv[1])), Path(sys.argv[2]), machine=machine)
except BaseException as error:
    sys.exit(_end(error))
"""


@pytest.mark.parametrize(("devices", "workers"), [(1, 1), (2, 0)])
def test_sigterm_to_all_processes_ends_in_a_saved_state(
    films: list[Film], tmp_path: Path, devices: int, workers: int
) -> None:
    """As Slurm and systemd send it: to data workers and to every training process, too."""
    script, out = tmp_path / "long.py", tmp_path / "out"
    script.write_text(LONG_SCRIPT, encoding="utf-8")
    command = [sys.executable, script, films[0].image.parent, out, str(devices), str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as run:
        try:
            deadline = time.monotonic() + 240
            while not (out / "checkpoints" / "last.ckpt").exists():
                assert run.poll() is None, run.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.killpg(run.pid, signal.SIGTERM)
            _, error = run.communicate(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130, error
    assert "the last finished epoch is kept, --resume continues from there" in error
    assert "defect" not in error
    assert "Traceback" not in error
    assert held(out)["global_step"] >= 3
