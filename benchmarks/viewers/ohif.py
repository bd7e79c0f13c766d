"""Shows a study of an archive in OHIF in a browser without a screen, and saves the picture.

    python -m benchmarks.viewers.ohif http://localhost:8042/dicom-web STUDY -o ohif.png

OHIF is the built viewer of the npm package `@ohif/app`; npm and Debian's chromium are needed. A
small web server gives OHIF its files, and passes requests under /dicom-web on to the archive. The
Segmentation is opened as a person does it: by a double click on its series. The names of its
segments, which OHIF then lists, are printed.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
import shutil
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

VERSION = "3.13.2"
SEGMENTS = ("Right lung", "Left lung", "Heart")
BROWSERS = ("chromium", "chromium-browser")
WAIT_MS = 120_000
SETTINGS = """\
window.config = {
  routerBasename: "/",
  extensions: [],
  modes: [],
  customizationService: {},
  showStudyList: true,
  defaultDataSourceName: "archive",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "archive",
      configuration: {
        friendlyName: "archive",
        name: "archive",
        wadoUriRoot: "/dicom-web",
        qidoRoot: "/dicom-web",
        wadoRoot: "/dicom-web",
        qidoSupportsIncludeField: false,
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        singlepart: "bulkdata,video",
        bulkDataURI: { enabled: true, relativeResolution: "studies" },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
};
"""


class Viewer(ThreadingHTTPServer):
    """OHIF's files, and the archive under /dicom-web."""

    def __init__(self, files: Path, archive: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.archive = files, archive
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Viewer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web/"):
            self._pass_on()
            return
        file = self.server.files / path.lstrip("/")
        if path == "/app-config.js":
            self._send(200, "text/javascript", SETTINGS.encode())
        elif file.is_file():
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self._send(200, kind, file.read_bytes())
        else:  # a page of the application
            self._send(200, "text/html", (self.server.files / "index.html").read_bytes())

    def _pass_on(self) -> None:
        address = self.server.archive + self.path.removeprefix("/dicom-web")
        answer = requests.get(address, headers={"Accept": self.headers["Accept"]}, timeout=60)
        kind = answer.headers.get("Content-Type", "application/octet-stream")
        self._send(answer.status_code, kind, answer.content)

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        # OHIF decodes pixels in threads, for which browsers ask for these two
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def fetch_ohif(folder: Path) -> Path:
    """Fetch the built viewer with npm; returns the folder of its files."""
    command = ["npm", "pack", "--silent", f"@ohif/app@{VERSION}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"


def open_segmentation(page: Page, url: str, study: str) -> list[str]:
    """Open the study and its Segmentation; returns the names of the segments that OHIF lists."""
    page.set_default_timeout(WAIT_MS)
    page.add_locator_handler(page.get_by_text("Skip all"), lambda tour: tour.click())
    page.goto(f"{url}/viewer?StudyInstanceUIDs={study}")
    page.locator("canvas.cornerstone-canvas").first.wait_for()
    page.get_by_role("button", name="Confirm and hide").click()
    page.get_by_text("Pleura: Lungs", exact=False).first.dblclick()
    page.get_by_role("button", name="Yes", exact=True).click()  # "Do you want to open ...?"
    page.locator('[data-cy="panelSegmentation-btn"]').click()
    page.get_by_text(SEGMENTS[0]).first.wait_for()
    return [name for name in SEGMENTS if page.get_by_text(name).count()]


def main(archive: str, study: str, picture: Path) -> None:
    """Print the segments that OHIF lists, and end with 1 unless it lists all."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    with TemporaryDirectory() as folder:
        viewer = Viewer(fetch_ohif(Path(folder)), archive.rstrip("/"))
        threading.Thread(target=viewer.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            options = ["--no-sandbox", "--use-gl=swiftshader", "--enable-unsafe-swiftshader"]
            chromium = playwright.chromium.launch(executable_path=browser, args=options)
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            try:
                listed = open_segmentation(page, viewer.url, study)
            finally:
                page.screenshot(path=picture)
            chromium.close()
        viewer.shutdown()
    print(json.dumps({"ohif": VERSION, "segments": listed, "page_errors": problems}))
    sys.exit(0 if listed == list(SEGMENTS) else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.viewers.ohif",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("archive", help="address of the archive's DICOMweb service")
    parser.add_argument("study", help="StudyInstanceUID of a study with results of Pleura")
    parser.add_argument("-o", "--picture", type=Path, default=Path("ohif.png"))
    given = parser.parse_args()
    main(given.archive, given.study, given.picture)
