"""`pleura segment --ray`: a run on a small cluster gives what a run in one process gives."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.segment import fragile as fragile_workers
from tests.apps.segment.fragile import Fragile
from tests.apps.segment.outputs import Run, files
from tests.apps.segment.outputs import report_untimed as report
from tests.apps.segment.outputs import rows_untimed as rows

from pleura.apps.segment.workers import ray_workers
from pleura.apps.segment.workers.worker import NodeView, Ready, Worker
from pleura.core.errors import PleuraError

FILMS = 24
STORE = 80 * 2**20


class Elsewhere(Worker):
    """A worker on a machine that has another folder at the path of the output folder."""

    def begin(self, seen: NodeView) -> Ready | PleuraError:
        from dataclasses import replace

        return super().begin(replace(seen, lock_text="another run"))


class Older(Worker):
    """A worker of an older Pleura."""

    def begin(self, seen: NodeView) -> Ready | PleuraError:
        from dataclasses import replace

        return super().begin(replace(seen, version="99.0"))


def node() -> dict[str, int]:
    """The settings of a node. With fixed ports Ray does not wait for its agents, at most 15 s."""
    ports = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
    return {"num_cpus": 1, "object_store_memory": STORE} | {name: free_port() for name in ports}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(store: dict[str, bytes]) -> Iterator[Any]:
    """A cluster of two nodes with one CPU each."""
    ray = ray_workers.quiet_ray()
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    own = (sys.modules[__name__], fragile_workers)
    for module in own:  # workers cannot import tests
        cloudpickle.register_pickle_by_value(module)
    made = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    made.add_node(**node())
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()
    for module in own:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def on_cluster(segment: Run, cluster: Any) -> Run:
    """The same on the cluster."""
    return lambda *arguments: segment(*arguments, "--ray", cluster.address)


class TestEqual:
    def test_a_run_on_a_cluster_gives_what_a_run_in_one_process_gives(
        self, segment: Run, on_cluster: Run, many: Path, tmp_path: Path
    ) -> None:
        formats = ("--format", "mask,coco,overlay")
        plain, out = tmp_path / "plain", tmp_path / "out"
        ended = segment(many, "-o", plain, *formats), on_cluster(many, "-o", out, *formats)
        assert [end.code for end in ended] == [3, 3]
        assert rows(out) == rows(plain)
        assert files(out) == files(plain)
        assert report(out) == report(plain)
        assert f"{FILMS + 1} films: {FILMS} segmented, 1 failed" in ended[1].err

    def test_a_relative_output_folder_is_that_of_the_command(
        self, on_cluster: Run, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The workers' working folder is that in which their node was started."""
        monkeypatch.chdir(tmp_path)
        assert on_cluster(many, "-o", "relative").code == 3
        assert len(list(Path("relative").rglob("*_mask.png"))) == FILMS

    def test_shards_and_rows_as_json(self, on_cluster: Run, many: Path, tmp_path: Path) -> None:
        ended = on_cluster(many, "-o", tmp_path / "out", "--shard", "1/2", "--json")
        printed = [json.loads(line)["film"] for line in ended.out.splitlines()]
        assert sorted(printed) == list(rows(tmp_path / "out" / "shards" / "1-of-2"))

    def test_films_of_an_object_store(
        self, segment: Run, on_cluster: Run, store: dict[str, bytes], many: Path, tmp_path: Path
    ) -> None:
        """The nodes have the address and the credentials of the store, as the command has."""
        plain, out = tmp_path / "plain", tmp_path / "out"
        for path in many.rglob("*.png"):
            store[f"bucket/many/{path.relative_to(many).as_posix()}"] = path.read_bytes()
        assert segment("s3://bucket/many", "-o", plain).code == 3
        assert on_cluster("s3://bucket/many", "-o", out).code == 3
        assert rows(out) == rows(plain)
        assert files(out) == files(plain)

    def test_a_run_is_resumed_with_or_without_ray(
        self, segment: Run, on_cluster: Run, many: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(many, "-o", out)
        shutil.copy(many / "site0" / "0.png", many / "damaged.png")
        assert on_cluster(many, "-o", out, "--resume").code == 0
        assert (report(out)["done"], report(out)["skipped"]) == (1, FILMS)


class TestLost:
    @pytest.fixture
    def fragile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_workers, "Worker", Fragile)

    @pytest.mark.usefixtures("fragile")
    def test_a_film_that_ends_its_worker_has_a_row_with_the_reason(
        self, segment: Run, on_cluster: Run, many: Path, tmp_path: Path
    ) -> None:
        plain, out = tmp_path / "plain", tmp_path / "out"
        for name in ("killer", "fragile"):
            shutil.copy(many / "site0" / "0.png", many / f"{name}.png")
        segment(many, "-o", plain)
        assert on_cluster(many, "-o", out).code == 3
        killed, whole = rows(out).pop("killer"), rows(plain)
        assert killed["status"] == "failed"
        assert "3 worker processes ended while they segmented this film" in killed["error"]
        assert {**rows(out), "killer": whole["killer"]} == whole
        assert not (out / "killer_mask.png").exists()

    @pytest.mark.usefixtures("fragile")
    def test_the_films_of_a_lost_node_are_segmented_again(
        self, segment: Run, on_cluster: Run, cluster: Any, many: Path, tmp_path: Path
    ) -> None:
        plain, out = tmp_path / "plain", tmp_path / "out"
        segment(many, "-o", plain)
        lost = cluster.add_node(**node())
        worked = threading.Event()

        def lose() -> None:
            while len(list(out.glob("site*/*.png"))) < 4:
                time.sleep(0.02)
            worked.set()
            cluster.remove_node(lost, allow_graceful=False)

        thread = threading.Thread(target=lose)
        thread.start()
        assert on_cluster(many, "-o", out).code == 3
        thread.join()
        assert worked.is_set()
        assert rows(out) == rows(plain)
        assert files(out) == files(plain)


class TestNotTheSame:
    @pytest.mark.parametrize(
        ("worker", "message"),
        [
            (Elsewhere, "does not see the output folder"),
            (Older, "this command is Pleura 99.0: install the same version on all nodes"),
        ],
    )
    def test_a_node_that_cannot_work_ends_the_run(
        self,
        on_cluster: Run,
        films: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        worker: type[Worker],
        message: str,
    ) -> None:
        monkeypatch.setattr(ray_workers, "Worker", worker)
        ended = on_cluster(films, "-o", tmp_path / "out")
        assert ended.code == 2
        assert message in ended.err
        assert not (tmp_path / "out" / "results.csv").exists()

    def test_more_cpus_than_a_node_has(self, run: Run, films: Path, cluster: Any) -> None:
        ended = run("segment", films, "-o", "out", "--ray", cluster.address, "--threads", 64)
        assert ended.code == 2
        assert "no node of the cluster has room for a worker: give fewer --threads" in ended.err
