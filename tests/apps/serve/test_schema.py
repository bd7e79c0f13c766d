"""The service keeps to its OpenAPI description, by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from pleura.runtime.engine import OnnxEngine

BYTES_ARE_NO_FILM = "positive_data_acceptance"
"""The check that is left out: no schema can describe which bytes are a film."""


def run_schemathesis(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Send made-up requests to a service, by its OpenAPI description and against it."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
    options = ["--phases=coverage,fuzzing", "--max-examples=15", "--seed=1", "--checks=all"]
    return subprocess.run(
        [*command, *options, f"--exclude-checks={BYTES_ARE_NO_FILM}", "--no-color"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_service_keeps_to_its_description(
    start: Callable[..., httpx.Client], five_weights: Path, tmp_path: Path
) -> None:
    client = start(engine=OnnxEngine(five_weights.read_bytes(), threads=1), upload_s=1.0)
    report = run_schemathesis(str(client.base_url).rstrip("/"), tmp_path)
    assert report.returncode == 0, report.stdout
    assert "Tested: 8" in report.stdout
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["held"] == 0
