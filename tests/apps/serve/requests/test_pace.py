"""The pace of uploads: what moves goes on, and what stops or dribbles is cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.limits.pace import Pace

LIMITS = Limits(headers_s=10.0, upload_s=60.0, upload_rate=20_000.0)


def pace(announced_bytes: int = 20_000_000) -> Pace:
    return Pace(LIMITS, announced_bytes=announced_bytes, now=0.0)


def test_an_upload_of_160_kbit_a_second_goes_on_for_as_long_as_it_needs() -> None:
    upload = pace()
    for now in range(5, 1005, 5):
        assert upload.end(is_crowded=False) >= now
        upload.add(100_000, now=now)


def test_a_pause_ends_it() -> None:
    upload = pace()
    assert upload.end(is_crowded=False) == 10.0
    upload.add(100_000, now=8.0)
    assert upload.end(is_crowded=False) == 18.0


def test_fast_bytes_allow_no_longer_pause() -> None:
    upload = pace(announced_bytes=128_000_000)
    upload.add(127_000_000, now=1.0)
    assert upload.end(is_crowded=False) == 11.0


def test_an_upload_that_dribbles_ends_after_the_time_for_uploads() -> None:
    upload = pace()
    for now in range(5, 60, 5):
        upload.add(1000, now=now)
    assert upload.end(is_crowded=False) == 60.0


def test_without_an_announced_length_the_time_for_uploads_is_the_longest_pause() -> None:
    upload = pace(announced_bytes=0)
    assert upload.end(is_crowded=False) == 60.0
    upload.add(1_200_000, now=30.0)  # all that 60 s need
    assert upload.end(is_crowded=False) == 90.0
    assert upload.end(is_crowded=True) == 60.0


def test_a_crowded_service_waits_for_the_pace_of_60_seconds() -> None:
    upload = pace(announced_bytes=6_000_000)
    upload.add(3_000_000, now=35.0)
    assert upload.end(is_crowded=True) == 40.0  # half of 60 s, and 10 s of tolerance
    assert upload.end(is_crowded=False) == 45.0


def slowly(content: bytes, pieces: int, seconds: float) -> Iterator[bytes]:
    size = -(-len(content) // pieces)
    for at in range(0, len(content), size):
        time.sleep(seconds / pieces)
        yield content[at : at + size]


def test_a_slow_upload_is_segmented(start: Callable[..., httpx.Client], films: Path) -> None:
    """It takes three times as long as an upload may take that does not move."""
    film = (films / "a.png").read_bytes()
    client = start(headers_s=1.0, upload_s=1.0, upload_rate=len(film) / 10)
    for headers in ({"Content-Length": str(len(film))}, {}):
        content = slowly(film, 20, 3.0)
        response = client.post("/v1/segmentations", content=content, headers=headers)
        assert response.status_code == 200, response.text


def test_an_upload_that_dribbles_is_408(start: Callable[..., httpx.Client], films: Path) -> None:
    film = (films / "a.png").read_bytes()
    client = start(headers_s=1.0, upload_s=1.0, upload_rate=100_000_000.0)
    headers = {"Content-Length": str(len(film))}
    response = client.post("/v1/segmentations", content=slowly(film, 40, 8.0), headers=headers)
    assert response.status_code == 408
    assert "the upload stopped, took more than 1 s, or was slower" in response.json()["detail"]
