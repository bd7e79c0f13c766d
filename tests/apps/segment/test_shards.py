"""`pleura segment --shard` and `pleura results merge`: parts of a run, and the whole of them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.apps.segment.outputs import Run, files

from pleura.io.run.lock import locked_folder

FILMS = 7
FORMATS = ("--format", "mask,coco")


def rows(out: Path) -> list[dict[str, str]]:
    """The table without the seconds."""
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


class TestMerged:
    def test_shards_give_what_one_run_gives(
        self, segment: Run, run: Run, many: Path, tmp_path: Path
    ) -> None:
        whole, out = tmp_path / "whole", tmp_path / "out"
        assert segment(many, "-o", whole, *FORMATS).code == 3
        codes = [segment(many, "-o", out, *FORMATS, "--shard", f"{n}/3").code for n in (3, 1, 2)]
        assert sorted(codes) == [0, 0, 3]
        merged = run("results", "merge", out)
        assert merged.code == 3
        assert f"3 shards, {FILMS + 1} films: {FILMS} segmented, 1 failed" in merged.err
        assert rows(out) == rows(whole)
        assert files(out) == files(whole)
        reports = [json.loads((place / "run.json").read_text()) for place in (whole, out)]
        for report in reports:
            del report["started"], report["seconds"]
        assert reports[0] == reports[1]

    def test_a_merged_run_is_continued_without_shards(
        self, segment: Run, run: Run, many: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        for shard in ("1/2", "2/2"):
            segment(many, "-o", out, "--shard", shard)
        run("results", "merge", out)
        assert "continue it with --resume" in segment(many, "-o", out, "--shard", "1/2").err
        shutil.copy(many / "site0" / "0.png", many / "damaged.png")
        assert segment(many, "-o", out, "--resume").code == 0
        report = json.loads((out / "run.json").read_text())
        assert (report["done"], report["skipped"]) == (1, FILMS)

    def test_more_shards_than_films(
        self, segment: Run, run: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        for number in range(1, 10):
            assert segment(films, "-o", out, "--shard", f"{number}/9").code == 0
        assert run("results", "merge", out).code == 0
        assert [row["film"] for row in rows(out)] == ["a", "b", "deep/a"]


class TestNotComplete:
    def test_shards_that_are_missing_or_were_stopped_are_named(
        self, segment: Run, run: Run, many: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        for shard in ("1/4", "3/4"):
            segment(many, "-o", out, "--shard", shard)
        report = out / "shards" / "1-of-4" / "run.json"
        report.write_text(report.read_text().replace('"complete"', '"interrupted"'))
        refused = run("results", "merge", out)
        assert refused.code == 2
        assert "3 of 4 shards" in refused.err
        assert "not complete: 1/4, 2/4, 4/4; run each with its --shard and --resume" in refused.err
        assert not (out / "results.csv").exists()
        for number in range(1, 5):
            segment(many, "-o", out, "--shard", f"{number}/4", "--resume")
        assert run("results", "merge", out).code == 3

    def test_a_shard_that_is_running_is_not_merged(
        self, segment: Run, run: Run, many: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(many, "-o", out, "--shard", "1/1")
        with locked_folder(out / "shards" / "1-of-1"):
            refused = run("results", "merge", out)
            assert "another run is writing into" in refused.err
            assert segment(many, "-o", out, "--shard", "1/1", "--resume").code == 2
        assert run("results", "merge", out).code == 3

    def test_a_folder_without_shards(self, run: Run, tmp_path: Path) -> None:
        assert "there is no folder" in run("results", "merge", tmp_path / "none").err
        assert (
            "holds no shards; `pleura segment --shard K/N`" in run("results", "merge", tmp_path).err
        )

    def test_a_merge_that_was_killed_is_repeated(
        self, segment: Run, run: Run, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "out"
        segment(many, "-o", out, "--shard", "1/1")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", full)
            assert run("results", "merge", out).code == 1
        assert "put them together" in segment(many, "-o", out, "--resume").err
        assert run("results", "merge", out).code == 3
        assert len(rows(out)) == FILMS + 1


class TestMixedUp:
    @pytest.fixture
    def begun(self, segment: Run, many: Path, tmp_path: Path) -> Path:
        out = tmp_path / "out"
        segment(many, "-o", out, "--shard", "1/3")
        return out

    def test_another_number_of_shards(self, segment: Run, many: Path, begun: Path) -> None:
        refused = segment(many, "-o", begun, "--shard", "2/4")
        assert refused.code == 2
        assert "holds shards of 3, not of 4: use --shard K/3" in refused.err

    def test_other_films(self, segment: Run, many: Path, begun: Path) -> None:
        shutil.copy(many / "site0" / "0.png", many / "later.png")
        refused = segment(many, "-o", begun, "--shard", "2/3")
        assert refused.code == 2
        assert "shard 1/3" in refused.err
        assert f"then {FILMS + 1}, now {FILMS + 2}" in refused.err

    def test_other_options(self, segment: Run, many: Path, begun: Path) -> None:
        refused = segment(many, "-o", begun, "--shard", "2/3", "--flip")
        assert "was started with flip off, now it is on" in refused.err
        refused = segment(many, "-o", begun, "--shard", "2/3", "--format", "labels")
        assert "was started with formats mask, now it is labels" in refused.err

    def test_a_run_over_all_films(self, segment: Run, many: Path, begun: Path) -> None:
        refused = segment(many, "-o", begun)
        assert refused.code == 2
        assert "holds shards of a run" in refused.err

    def test_masks_of_shards_are_no_films(
        self, segment: Run, many: Path, begun: Path, tmp_path: Path
    ) -> None:
        masks = [name for name in files(begun) if name.endswith("_mask.png")]
        assert masks
        assert segment(tmp_path, "-o", tmp_path / "more").code == 3
        names = {row["film"] for row in rows(tmp_path / "more")}
        assert {f"many/site0/{n}" for n in (0, 2, 4, 6)} <= names
        assert not any(name.endswith("_mask") for name in names)


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_shards_run_side_by_side_and_survive_kill_9(
    run: Run, many: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def start(shard: str) -> subprocess.Popen[bytes]:
        options = ["-o", out, "--shard", shard, "--resume", "-q", "--weights", tiny_weights]
        command = [sys.executable, "-m", "pleura", "segment", many, *options, "--threads", "1"]
        return subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)

    shards = ("1/3", "2/3", "3/3")
    begun = [start(shard) for shard in shards]
    begun[0].send_signal(signal.SIGKILL)
    ended = [process.wait() for process in begun]
    assert ended[0] == -signal.SIGKILL
    for process in [start(shard) for shard in shards]:
        assert process.wait() in (0, 3)
    assert run("results", "merge", out).code == 3
    assert len(rows(out)) == FILMS + 1
    assert not [name for name in files(out) if ".pleura-" in name]
