"""The record of when and on which machine a run was computed: `sessions.json` in its folder."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pleura.io.files.atomic import atomic_write
from pleura.lab.train.export import provenance
from pleura.lab.train.machine import Machine
from pleura.runtime.threads import cpu_model, usable_cpus

__all__ = ["add_session", "read_sessions"]

PACKAGES = ("torch", "lightning", "numpy")


def add_session(path: Path, machine: Machine, *, epochs_done: int) -> None:
    """Append a session that starts now to the list in `path`; a new run starts a new list.

    `epochs_done` is the number of epochs that earlier sessions finished. The time that each
    epoch took is in metrics.csv.
    """
    earlier = read_sessions(path) if epochs_done else []
    session = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "epochs_done": epochs_done,
        **provenance(),
        "machine": {
            "cpu": cpu_model(),
            "cpus": usable_cpus(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if machine.device == "cuda" else machine.device,
            "devices": machine.devices,
            "precision": machine.resolved_precision,
            "system": platform.system(),
        },
        "packages": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }
    with atomic_write(path, "w") as file:
        file.write(json.dumps([*earlier, session], indent=1) + "\n")


def read_sessions(path: Path) -> list[dict[str, Any]]:
    """The sessions recorded in `path`, oldest first; empty if there is no such file."""
    if not path.is_file():
        return []
    sessions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return sessions
