"""Send films to a running `pleura serve`, and keep the masks. The standard library is enough.

pleura serve &
python examples/client.py film.png other.dcm

PLEURA_URL      where the service is, if not http://127.0.0.1:8017
PLEURA_API_KEY  the service's key, if it has one
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = os.environ.get("PLEURA_URL", "http://127.0.0.1:8017")
KEY = os.environ.get("PLEURA_API_KEY")
PATIENCE = 20  # times to ask again while the service is busy


def segment(film: bytes, *, lungs: str = "field") -> dict[str, Any]:
    """What the service tells of a film; raises HTTPError with the problem details as its body."""
    headers = {"Content-Type": "application/octet-stream"}
    if KEY:
        headers["Authorization"] = f"Bearer {KEY}"
    address = f"{URL}/v1/segmentations?lungs={lungs}&include=mask"
    request = urllib.request.Request(address, data=film, headers=headers, method="POST")
    for _ in range(PATIENCE):
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                told: dict[str, Any] = json.load(response)
                return told
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            if error.code != 503 or wait is None:
                raise
            time.sleep(int(wait))  # the queue is full; the service says when to come again
    raise TimeoutError(f"{URL} stayed busy")


def main(paths: list[Path]) -> int:
    """Write NAME_mask.png beside each film; how many films could not be segmented."""
    failed = 0
    for path in paths:
        try:
            lungs = segment(path.read_bytes())["lungs"]["field"]
        except urllib.error.HTTPError as error:
            print(f"{path.name}: {json.load(error)['detail']}")
            failed += 1
            continue
        mask = path.with_name(f"{path.stem}_mask.png")
        mask.write_bytes(base64.b64decode(lungs["mask_png"]))
        quality = lungs["quality"]
        doubts = " ".join(doubt["text"] for doubt in quality["doubts"])
        print(f"{mask.name}: {quality['verdict']}. {doubts}".rstrip())
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(3 if main([Path(name) for name in sys.argv[1:]]) else 0)
