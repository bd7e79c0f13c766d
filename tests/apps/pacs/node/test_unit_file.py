"""The unit for systemd: its rating, and the command that it starts."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from typer.main import get_command

from pleura.apps.cli.commands import app

CHECKOUT = Path(__file__).resolve().parents[4]
UNIT = CHECKOUT / "examples" / "systemd" / "pleura-node.service"
PAGE = CHECKOUT / "docs" / "how-to" / "pacs-node.md"


def test_systemd_rates_the_exposure_as_the_page_states() -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (rating,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    (stated,) = re.findall(r"rates its exposure at ([\d.]+)", PAGE.read_text(encoding="utf-8"))
    assert rating == stated
    assert "Unknown" not in done.stderr


def test_the_command_of_the_unit_has_valid_options() -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(encoding="utf-8"), re.M)
    assert line in PAGE.read_text(encoding="utf-8")
    program, command, *arguments = shlex.split(line)
    assert (Path(program).name, command) == ("pleura", "node")
    top: Any = get_command(app)
    node = top.get_command(None, "node")
    context = node.make_context("node", arguments)
    assert str(context.params["folder"]) == "/var/lib/pleura/node"
