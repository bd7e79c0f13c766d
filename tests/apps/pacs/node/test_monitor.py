"""What monitoring sees of a node: HTTP addresses, metrics, and the exit code of its status."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydicom.dataset import Dataset

NAME = "Zimmermann"


@pytest.fixture
def node(start_node: Callable[..., Any], tools: SimpleNamespace) -> Any:
    """A node whose archive is away, and whose folder has room for 1 MB."""
    port = tools.free_port()
    away = f"AWAY@127.0.0.1:{tools.free_port()}"
    options = ("--from", "ORTHANC", "--to", away, "--monitor-port", str(port), "--quota", "1")
    node = start_node(*options, "--keep-free", "0")
    node.away, node.web = away, f"http://127.0.0.1:{port}"
    return node


def samples(node: Any) -> dict[tuple[str, ...], float]:
    """The value of each metric by its name and its labels."""
    answer = httpx.get(f"{node.web}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert NAME not in answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_films_and_say_what_waits(
    node: Any, small_films: Callable[[int], list[Dataset]], tools: SimpleNamespace
) -> None:
    first = samples(node)
    assert first["pleura_node_films", "delivered"] == first["pleura_node_oldest_seconds",] == 0
    film = small_films(1)[0]
    assert tools.send(node.port, film, film) == [0, 0]
    tools.until(lambda: node.has(segmented=1), "the film is segmented")
    tools.until(lambda: node.status().troubles, "the archive is away")
    after = samples(node)
    assert after["pleura_node_films", "segmented"] == 1
    assert after["pleura_node_events_total", "duplicates"] == 1
    assert after["pleura_node_undelivered", node.away] == 1
    assert after["pleura_node_trouble_seconds", node.away] >= 0
    assert after["pleura_node_oldest_seconds",] > 0
    assert after["pleura_node_disk_free_bytes",] > 0
    verdicts = ("ok", "review", "refused")
    assert sum(after["pleura_node_verdicts_total", verdict] for verdict in verdicts) == 1


def test_a_node_without_room_is_not_ready(
    node: Any, small_films: Callable[[int], list[Dataset]], tools: SimpleNamespace
) -> None:
    assert httpx.get(f"{node.web}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{node.web}/readyz").json() == {"status": "ready"}
    assert httpx.get(f"{node.web}/").status_code == 404
    probes = [httpx.head(f"{node.web}/{name}") for name in ("healthz", "readyz", "none")]
    assert [(probe.status_code, probe.content) for probe in probes] == [
        *((200, b""), (200, b""), (404, b"")),
    ]
    film = small_films(1)[0]
    larger = film.pixel_array.repeat(8, axis=0).repeat(8, axis=1)  # 3.3 MB
    assert tools.send(node.port, tools.make_film(larger, 1)) == [0xA700]
    answer = httpx.get(f"{node.web}/readyz")
    assert answer.status_code == 503
    (trouble,) = answer.json()["troubles"]
    assert "no film can be stored" in trouble
    assert httpx.get(f"{node.web}/healthz").status_code == 200


def test_the_status_ends_with_a_code_for_scripts(
    orthanc: Any,
    start_node: Callable[..., Any],
    tools: SimpleNamespace,
    small_films: Callable[[int], list[Dataset]],
    run: Callable[..., Any],
) -> None:
    node = start_node(*orthanc.node_options)
    command = ("node", "status", "--folder", node.folder)
    assert run(*command).code == 0
    orthanc.stop()
    assert tools.send(node.port, *small_films(1)) == [0]
    tools.until(lambda: node.status().troubles, "the archive is away")
    ended = run(*command, "--json")
    assert ended.code == 6
    assert f"pleura: {orthanc.node_options[-1]}: no connection" in ended.err
    orthanc.start()
    tools.until(lambda: node.has(delivered=1), "the film is delivered")
    assert run(*command).code == 0
    assert node.stop() == 0
    ended = run(*command)
    assert (ended.code, ended.err) == (6, "pleura: the node does not run\n")


def test_a_port_that_is_taken_is_an_error(
    node: Any, run: Callable[..., Any], tmp_path: Any, tiny_weights: Any
) -> None:
    port = node.web.rpartition(":")[2]
    options = ("--folder", tmp_path / "second", "--weights", tiny_weights, "--port", "0")
    ended = run("node", "--anyone", "--to", node.away, *options, "--monitor-port", port)
    assert ended.code == 2
    assert "give another --monitor-port" in ended.err
