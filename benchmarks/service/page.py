"""Measures the page in chromium: from drop to outline, and how long its main thread is busy.

    python -m benchmarks.service.page http://127.0.0.1:8017 [film.png ...]

It prints JSON, one object for each film; without films it draws some of 0.3, 4, 9 and 20
megapixels. It needs a running service, chromium and playwright.
A toggle, a zoom and a selection are measured from the key to the end of the frame that it causes.
The longest task of the main thread is measured by the clock, and by its CPU time, which other work
on the machine changes less.
Beside them stands the time of `pleura segment` for the same film.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.service.drawn_films import draw_films

MEGAPIXELS = (0.3, 4, 9, 20)
"""Sizes of the synthetic films."""

TASKS = "disabled-by-default-devtools.timeline"
"""What chromium calls the trace of its tasks."""

WATCH = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => {
    window.tasks.push(...list.getEntries().map((task) => task.duration));
  }).observe({ entryTypes: ["longtask"] });
}"""

SHOWN = """(name) => {
  const { shown } = document.getElementById("screen").dataset;
  return shown === `${name} field` || shown === `${name} whole`;
}"""


def main(address: str, paths: list[Path]) -> None:
    """Measure each film in a new page."""
    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for path in paths:
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.goto(address)
            measured = {**measure(page, path), "command_line_s": command_line_s(path)}
            print(json.dumps(measured), flush=True)
            page.close()


def command_line_s(path: Path) -> float:
    """The time of `pleura segment`, its start included, s."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "pleura", "segment", path, "-o", folder, "-q"]
        subprocess.run(command, check=True)
        return round(time.perf_counter() - start, 2)


def measure(page: Page, path: Path) -> dict[str, Any]:
    """Times of one film, with a synthetic film beside it to select between."""
    browser = page.context.browser
    assert browser is not None
    page.evaluate(WATCH)
    browser.start_tracing(page=page, categories=[TASKS])
    start = time.perf_counter()
    page.set_input_files("#files", path)
    page.wait_for_function(SHOWN, arg=path.name, timeout=300_000)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(500)  # the frame is drawn
    trace = json.loads(browser.stop_tracing())
    return {
        "film": path.name,
        "size": page.locator("#stage").get_attribute("data-size"),
        "drop_to_outline_s": round(seconds, 2),
        "longest_task_while_loading_ms": longest_task(page),
        "longest_task_cpu_ms": longest_cpu_ms(trace["traceEvents"]),
        "toggle_ms": longest_frame(page, "o"),
        "definition_ms": longest_frame(page, "d"),
        "zoom_ms": longest_frame(page, "+"),
        "selection_ms": selection(page),
    }


def selection(page: Page) -> float:
    """The main thread's work for the selection of the film from another one, ms."""
    page.evaluate("""() => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
      canvas.toBlob((blob) => {
        const carried = new DataTransfer();
        carried.items.add(new File([blob], "other.png"));
        const drop = new DragEvent("drop", { dataTransfer: carried, bubbles: true });
        document.body.dispatchEvent(drop);
      });
    }""")
    page.wait_for_selector('#films button[title="other.png"][data-status]')
    page.wait_for_timeout(500)
    return longest_frame(page, "ArrowLeft")


TIMED = """(key) => new Promise((done) => {
  const start = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  requestAnimationFrame(() => {
    const channel = new MessageChannel(); // its message comes after the frame is drawn
    channel.port1.onmessage = () => done(performance.now() - start);
    channel.port2.postMessage(null);
  });
})"""


def longest_frame(page: Page, key: str) -> float:
    """From a key to the end of the frame that it causes, ms; the median of 5."""
    times = []
    for _ in range(5):
        times.append(float(page.evaluate(TIMED, key)))
        page.wait_for_timeout(400)
        if key == "ArrowLeft":
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(400)
    return round(sorted(times)[2], 1)


def longest_task(page: Page) -> float:
    """The longest task of the main thread so far, ms; 0 if none took 50 ms."""
    return float(page.evaluate("() => Math.round(Math.max(0, ...window.tasks))"))


def longest_cpu_ms(events: list[dict[str, Any]]) -> float:
    """The most CPU time that a task of a page's main thread took, ms."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    times = [
        event.get("tdur", 0) / 1000
        for event in events
        if (event["pid"], event["tid"]) in main and event["name"] == "RunTask"
    ]
    return round(max(times), 1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("address", help="of the running service, http://127.0.0.1:8017")
    arguments.add_argument("films", nargs="*", type=Path)
    return arguments


if __name__ == "__main__":
    given = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(given.address, given.films or draw_films(Path(folder), MEGAPIXELS, bits=16))
