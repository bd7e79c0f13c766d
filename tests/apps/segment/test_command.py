from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.apps.segment.outputs import Run, rows

import pleura
from pleura.core.errors import WeightsError


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def read(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_variants_are_averaged_on_request(segment: Run, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(films / "a.png", "-o", out, "--tta", "-f", "probabilities").code == 0
    assert json.loads((out / "run.json").read_text())["tta"] is True
    mixed = segment(films / "a.png", "-o", out, "--resume", "-f", "probabilities")
    assert mixed.code == 2
    assert "was started with tta" in mixed.err
    plain = tmp_path / "plain"
    assert segment(films / "a.png", "-o", plain, "-f", "probabilities").code == 0
    names = [name for name in files(out) if "prob" in name]
    assert names
    assert all((out / name).read_bytes() != (plain / name).read_bytes() for name in names)


class TestOneFilm:
    def test_the_mask_is_where_the_film_is_dark(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        ended = segment(films / "a.png", "-o", tmp_path / "out")
        mask = read(tmp_path / "out/a_mask.png")
        # 160 x 128: rows 40..119, columns 16..47 and 80..111. The square is 64 x 64, so both
        # sides are whole multiples of it and the edges fall on pixels.
        expected = np.zeros((160, 128), np.uint8)
        expected[40:120, 16:48] = expected[40:120, 80:112] = 255
        assert ended.code == 0
        assert mask.dtype == np.uint8
        wrong = np.count_nonzero(mask != expected)
        assert wrong <= 0.02 * np.count_nonzero(expected)

    def test_the_table_has_the_measurements(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        segment(films / "a.png", "-o", tmp_path / "out")
        (row,) = rows(tmp_path / "out").values()
        assert row["status"] == "done"
        assert row["path"] == str(films / "a.png")
        assert row["mask"] == "a_mask.png"
        assert (row["height"], row["width"]) == ("160", "128")
        assert int(row["right_area_px"]) == pytest.approx(80 * 32, rel=0.02)
        assert int(row["lungs_area_px"]) == np.count_nonzero(read(tmp_path / "out/a_mask.png"))
        assert row["lungs_area_cm2"] == ""  # a PNG has no spacing

    def test_the_report_has_weights_and_options(
        self, segment: Run, films: Path, tmp_path: Path, tiny_weights: Path
    ) -> None:
        segment(films / "a.png", "-o", tmp_path / "out", "--overlay")
        report = json.loads((tmp_path / "out/run.json").read_text())
        assert report["status"] == "complete"
        assert (report["found"], report["done"], report["failed"]) == (1, 1, 0)
        assert report["weights"] == "tiny"
        assert len(report["weights_sha256"]) == 64
        assert report["options"]["formats"] == ["mask", "overlay"]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], ["a_mask.png"]),
            (["--overlay"], ["a_mask.png", "a_overlay.png"]),
            (["--split"], ["a_left.png", "a_mask.png", "a_right.png"]),
            (["--format", "labels"], ["a_labels.png"]),
            (["--format", "npy, nifti"], ["a_labels.nii.gz", "a_labels.npy"]),
            (
                ["-f", "coco", "-f", "mask", "--overlay"],
                ["a_coco.json", "a_mask.png", "a_overlay.png", "coco.json"],
            ),
            (["--format", "crop"], ["a_crop.png"]),
        ],
    )
    def test_formats(
        self, segment: Run, films: Path, tmp_path: Path, options: list[str], expected: list[str]
    ) -> None:
        assert segment(films / "a.png", "-o", tmp_path / "out", *options).code == 0
        assert files(tmp_path / "out") == [*expected, "results.csv", "run.json"]


class TestManyFilms:
    def test_folders_are_mirrored_and_equal_stems_kept_apart(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        Image.open(films / "a.png").save(films / "a.jpg")
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 0
        assert files(tmp_path / "out") == [
            "a_jpg_mask.png", "a_png_mask.png", "b_mask.png", "deep/a_mask.png",
            "results.csv", "run.json",
        ]  # fmt: skip
        assert list(rows(tmp_path / "out")) == ["a_jpg", "a_png", "b", "deep/a"]

    @pytest.mark.parametrize("batch", [1, 2, 3, 8])
    @pytest.mark.parametrize("jobs", [1, 3])
    def test_batches_and_threads_change_nothing(
        self, segment: Run, films: Path, tmp_path: Path, batch: int, jobs: int
    ) -> None:
        (films / "bad.png").write_bytes(b"")
        plain = segment(films, "-o", tmp_path / "one", "--jobs", 1)
        other = segment(films, "-o", tmp_path / "two", "--jobs", jobs, "--batch-size", batch)
        assert plain.code == other.code == 3
        for name in files(tmp_path / "one"):
            if name.endswith(".png"):
                one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
                assert one == two
        assert list(rows(tmp_path / "one")) == list(rows(tmp_path / "two"))

    def test_json_is_one_object_a_film_in_the_order_of_the_table(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        ended = segment(films, "-o", tmp_path / "out", "--json", "--jobs", 3)
        spoken = [json.loads(line) for line in ended.out.splitlines()]
        assert [row["film"] for row in spoken] == list(rows(tmp_path / "out"))
        assert all(row["lungs_area_px"] > 0 for row in spoken)

    def test_stdout_is_empty_without_json(self, segment: Run, films: Path, tmp_path: Path) -> None:
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.out == ""
        assert "3 films: 3 segmented" in ended.err

    def test_quiet_prints_nothing(self, segment: Run, films: Path, tmp_path: Path) -> None:
        assert segment(films, "-o", tmp_path / "out", "-q").err == ""


def _hostile(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, a word of the reason) of films that cannot be segmented."""
    rng = np.random.default_rng(0)
    (folder / "empty.png").write_bytes(b"")
    yield "empty", "empty"
    (folder / "text.png").write_text("no picture at all")
    yield "text", "text file"
    Image.new("L", (1, 1), 7).save(folder / "tiny.png")
    yield "tiny", "too small"
    noise = Image.fromarray(rng.integers(0, 255, (300, 300), dtype=np.uint8))
    noise.save(folder / "cut.jpg")
    whole = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    yield "cut", "damaged or cut short"
    Image.new("L", (300, 300), 0).save(folder / "black.png")
    yield "black", "contrast"
    photo = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(photo).save(folder / "photo.png")
    yield "photo", "colour"


class TestHostileFilms:
    def test_each_has_a_row_with_its_reason_and_the_run_continues(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        reasons = dict(_hostile(films))
        ended = segment(films, "-o", tmp_path / "out")
        table = rows(tmp_path / "out")
        assert ended.code == 3
        assert "Traceback" not in ended.err
        for name, word in reasons.items():
            assert table[name]["status"] == "failed"
            assert word in table[name]["error"]
            assert table[name]["error"] in ended.err
        assert [name for name, row in table.items() if row["status"] == "done"] == [
            "a", "b", "deep/a"
        ]  # fmt: skip
        assert f"3 segmented, {len(reasons)} failed" in ended.err

    def test_a_folder_with_nothing_in_it_is_wrong_usage(self, segment: Run, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        ended = segment(tmp_path / "none", "-o", tmp_path / "out")
        assert ended.code == 2
        assert "no films in the folder" in ended.err
        assert not (tmp_path / "out").exists()

    def test_a_film_that_is_not_there_is_wrong_usage(self, segment: Run, tmp_path: Path) -> None:
        assert segment(tmp_path / "gone.png", "-o", tmp_path / "out").code == 2


class TestWhatIsThereAlready:
    def test_results_are_not_overwritten_unasked(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        segment(films, "-o", tmp_path / "out")
        before = (tmp_path / "out/results.csv").read_bytes()
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 2
        assert "--resume" in ended.err
        assert "--overwrite" in ended.err
        assert (tmp_path / "out/results.csv").read_bytes() == before

    def test_a_file_of_the_users_own_is_not_overwritten_unasked(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/b_mask.png").write_text("drawn by hand")
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 2
        assert "b_mask.png exists" in ended.err
        assert files(tmp_path / "out") == ["b_mask.png"]
        assert segment(films, "-o", tmp_path / "out", "--overwrite").code == 0

    def test_a_film_is_never_overwritten(self, segment: Run, films: Path, tmp_path: Path) -> None:
        Image.open(films / "a.png").save(films / "a_mask.png")
        before = (films / "a_mask.png").read_bytes()
        ended = segment(films / "a.png", films / "a_mask.png", "-o", films, "--overwrite")
        assert ended.code == 2
        assert "would overwrite a film" in ended.err
        assert (films / "a_mask.png").read_bytes() == before

    def test_the_films_folder_itself_takes_no_results(self, segment: Run, films: Path) -> None:
        ended = segment(films, "-o", films)
        assert ended.code == 2
        assert "is also an input" in ended.err

    def test_results_inside_the_films_folder_are_no_films_next_time(
        self, segment: Run, films: Path
    ) -> None:
        assert segment(films, "-o", films / "out", "--overlay").code == 0
        ended = segment(films, "-o", films / "out", "--overlay", "--resume")
        assert ended.code == 0
        assert "3 films: 0 segmented, 3 finished before" in ended.err

    def test_overwrite_begins_anew(self, segment: Run, films: Path, tmp_path: Path) -> None:
        segment(films, "-o", tmp_path / "out")
        segment(films / "b.png", "-o", tmp_path / "out", "--overwrite")
        assert list(rows(tmp_path / "out")) == ["b"]

    def test_only_one_of_the_two(self, segment: Run, films: Path, tmp_path: Path) -> None:
        assert segment(films, "-o", tmp_path / "o", "--resume", "--overwrite").code == 2

    def test_an_output_that_is_a_file(self, segment: Run, films: Path, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("a file")
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 2
        assert "is a file" in ended.err


class TestResume:
    def test_finished_films_are_left_alone(self, segment: Run, films: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        segment(films / "a.png", "-o", out)
        (out / "a_mask.png").write_bytes(b"touched")
        ended = segment(films / "a.png", films / "b.png", "-o", out, "--resume")
        assert ended.code == 0
        assert (out / "a_mask.png").read_bytes() == b"touched"
        assert list(rows(out)) == ["a", "b"]
        assert json.loads((out / "run.json").read_text())["skipped"] == 1

    def test_a_film_whose_files_are_gone_is_segmented_again(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(films, "-o", out, "--overlay")
        (out / "b_overlay.png").unlink()
        ended = segment(films, "-o", out, "--overlay", "--resume")
        assert "3 films: 1 segmented, 2 finished before" in ended.err
        assert (out / "b_overlay.png").exists()

    def test_a_film_that_failed_is_tried_again(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        good = (films / "b.png").read_bytes()
        (films / "b.png").write_bytes(good[:100])
        assert segment(films, "-o", out).code == 3
        (films / "b.png").write_bytes(good)
        assert segment(films, "-o", out, "--resume").code == 0
        assert rows(out)["b"]["status"] == "done"

    def test_a_film_without_lungs_has_no_crop_and_is_finished(
        self, run: Run, films: Path, tmp_path: Path, blind_weights: Path
    ) -> None:
        out = tmp_path / "out"
        command = ("segment", films / "a.png", "-o", out, "-f", "crop", "--weights", blind_weights)
        assert run(*command).code == 0
        assert files(out) == ["results.csv", "run.json"]
        assert rows(out)["a"]["lungs_area_px"] == "0"
        assert rows(out)["a"]["right_to_left_ratio"] == ""  # undefined, not zero
        assert "1 finished before" in run(*command, "--resume").err

    def test_resuming_with_fewer_formats_is_refused(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        segment(films, "-o", tmp_path / "out")
        ended = segment(films, "-o", tmp_path / "out", "--resume", "--format", "labels")
        assert ended.code == 2
        assert "started with formats" in ended.err

    def test_resuming_with_another_format_writes_it_for_every_film(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(films, "-o", out)
        before = {path: path.read_bytes() for path in out.rglob("*_mask.png")}
        assert segment(films, "-o", out, "--resume", "--overlay").code == 0
        assert {path: path.read_bytes() for path in out.rglob("*_mask.png")} == before
        assert len(list(out.rglob("*_overlay.png"))) == len(before) == 3
        assert "3 finished before" in segment(films, "-o", out, "--resume", "--overlay").err

    def test_another_film_of_the_same_name_is_refused(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        segment(films / "a.png", "-o", tmp_path / "out")
        ended = segment(films / "deep/a.png", "-o", tmp_path / "out", "--resume")
        assert ended.code == 2
        assert str(films / "a.png") in ended.err


class TestWeights:
    def test_missing_weights_are_5(self, run: Run, films: Path, tmp_path: Path) -> None:
        ended = run("segment", films, "-o", tmp_path / "o", "--weights", tmp_path / "gone.onnx")
        assert ended.code == 5
        assert "gone.onnx" in ended.err

    def test_altered_weights_are_5(
        self, run: Run, films: Path, tmp_path: Path, tiny_weights: Path
    ) -> None:
        bad = tmp_path / "bad.onnx"
        bad.write_bytes(tiny_weights.read_bytes()[:100])
        ended = run("segment", films, "-o", tmp_path / "out", "--weights", bad)
        assert ended.code == 5
        assert "Traceback" not in ended.err
        assert not (tmp_path / "out").exists()

    def test_weights_that_differ_from_the_digest_beside_them_are_5(
        self, run: Run, films: Path, tmp_path: Path, tiny_weights: Path
    ) -> None:
        own = tmp_path / "own.onnx"
        own.write_bytes(tiny_weights.read_bytes())
        beside = tmp_path / "own.onnx.sha256"
        beside.write_text(f"{hashlib.sha256(own.read_bytes()).hexdigest()}  own.onnx\n")
        line = ("segment", films / "a.png", "--weights", own)
        assert run(*line, "-o", tmp_path / "first").code == 0
        own.write_bytes(own.read_bytes() + b"\0")
        ended = run(*line, "-o", tmp_path / "second")
        assert ended.code == 5
        assert "own.onnx was altered or cut short" in ended.err
        assert "or remove own.onnx.sha256 if they are right" in ended.err
        with pytest.raises(WeightsError, match="was altered or cut short"):
            pleura.segment(films / "a.png", weights=own)

    def test_a_definition_that_the_weights_lack_is_2(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        assert segment(films, "-o", tmp_path / "out", "--lungs", "whole").code == 2

    def test_an_unknown_engine_gives_exit_code_2_and_the_nearest_name(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        ended = segment(films, "-o", tmp_path / "out", "--engine", "onxruntime")
        assert ended.code == 2
        assert "did you mean 'onnxruntime'" in ended.err

    def test_an_unknown_format_gives_exit_code_2(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        assert segment(films, "-o", tmp_path / "out", "--format", "msk").code == 2
