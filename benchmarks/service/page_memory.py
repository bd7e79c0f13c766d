"""Measures the memory of the page in chromium while many films are added, looked at and forgotten.

    python -m benchmarks.service.page_memory http://127.0.0.1:8017 --films 200 --megapixels 1

It prints JSON: the resident memory of the browser's processes for pages, and the page's JavaScript
heap without its worker, both in MB. It needs a running service, chromium and playwright. The films
are one synthetic film with noise of its own in each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.service.drawn_films import draw_films

STEP = 50
"""Films that are added between two figures."""

SETTLED = """(count) =>
  document.querySelectorAll("#films button[data-status]").length === count"""

SHOWN = """(name) => document.getElementById("screen").dataset.shown?.startsWith(name)"""


def main(address: str, *, films: int, megapixels: float, rounds: int) -> None:
    """Measure one page and print its figures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = draw_films(Path(folder), [megapixels] * films)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        steps = list(run(page, paths, rounds))
        print(json.dumps({"films": films, "megapixels": megapixels, "steps": steps}))
        browser.close()


def run(page: Page, paths: list[Path], rounds: int) -> Iterator[dict[str, Any]]:
    """Add the films, look at each, and forget all, in each round; the memory after each step."""
    yield {"round": 0, "step": "empty page", **memory(page)}
    for number in range(1, rounds + 1):
        yield from ({"round": number, **step} for step in one_round(page, paths))


def one_round(page: Page, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """The memory after each step of one round."""
    for start in range(0, len(paths), STEP):
        page.set_input_files("#files", paths[start : start + STEP])
        count = min(start + STEP, len(paths))
        page.wait_for_function(SETTLED, arg=count, timeout=1_800_000)
        yield {"step": f"{count} films", **memory(page)}
    for path in paths:
        page.click(f'#films button[title="{path.name}"]')
        page.wait_for_function(SHOWN, arg=path.name, timeout=60_000)
    yield {"step": "each looked at", **memory(page)}
    page.get_by_role("button", name="Forget all").click()
    page.wait_for_selector("#welcome", state="visible")
    page.wait_for_timeout(2000)
    yield {"step": "all removed", **memory(page)}


def memory(page: Page) -> dict[str, float]:
    """Memory after a collection of garbage, MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    session.detach()
    return {"resident_mb": round(resident(page) / 1e6), "heap_mb": round(heap, 1)}


def resident(page: Page) -> int:
    """Resident memory of all processes that draw pages, bytes."""
    browser = page.context.browser.new_browser_cdp_session()  # type: ignore[union-attr]
    processes = browser.send("SystemInfo.getProcessInfo")["processInfo"]
    browser.detach()
    return sum(resident_of(one["id"]) for one in processes if one["type"] == "renderer")


def resident_of(pid: int) -> int:
    """Resident memory of one process, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("address", help="of the running service, http://127.0.0.1:8017")
    arguments.add_argument("--films", type=int, default=200)
    arguments.add_argument("--megapixels", type=float, default=1.0)
    arguments.add_argument(
        "--rounds", type=int, default=2, help="a leak grows from one round to the next"
    )
    return arguments


if __name__ == "__main__":
    given = parser().parse_args()
    main(given.address, films=given.films, megapixels=given.megapixels, rounds=given.rounds)
