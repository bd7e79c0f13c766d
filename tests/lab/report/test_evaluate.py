"""Evaluation of films with known results, through the shipped path.

The film is 96 x 96: two dark lungs, rows 24-71 (48 px tall), columns 12-35 and 60-83. The engine
predicts the dark pixels k rows too low. So each lung overlaps its label in 48 - k of 48 rows: Dice
(48 - k) / 48, IoU (48 - k) / (48 + k), and the far edges are k px off.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pleura.core.card import Card
from pleura.core.errors import DataError, UsageError
from pleura.core.types import Radiograph, Spacing
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.evaluate.case import Evaluator, rows
from pleura.lab.evaluate.evaluation import EvaluationSettings, choose, fingerprint, read_rows
from pleura.lab.report.evaluation import evaluate

SIDE = 96
ROWS, RIGHT, LEFT = slice(24, 72), slice(12, 36), slice(60, 84)
HEADER = ["id", "image", "mask", "split", "patient", "labels", "condition", "source"]


def lungs(right: int = 1, left: int = 1, *, down: int = 0) -> np.ndarray:
    """(96, 96) uint8 with the given values in the lungs."""
    values = np.zeros((SIDE, SIDE), np.uint8)
    rows_ = slice(ROWS.start + down, ROWS.stop + down)
    values[rows_, RIGHT], values[rows_, LEFT] = right, left
    return values


def film() -> np.ndarray:
    """Dark lungs on a bright ramp of grey, so that it is no mask."""
    pixels = np.tile((200 + np.arange(SIDE) // 6).astype(np.uint8), (SIDE, 1))
    pixels[lungs() > 0] = 40
    return pixels


@dataclass
class Shifted:
    """An engine that finds the dark lungs `down` rows too low."""

    down: int = 0
    channels: tuple[str, ...] = ("field",)
    answer: Callable[[str, np.ndarray], np.ndarray] = field(default=lambda _channel, dark: dark)
    name: str = "known 1.0"
    weights_sha256: str = "ab" * 32

    @property
    def card(self) -> Card:
        return Card(name="known", version="0.1.0", channels=self.channels, side=SIDE)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        dark = np.roll(batch[:, 0] < 0.5, self.down, axis=1)
        maps = [self.answer(channel, dark) for channel in self.channels]
        return np.stack(maps, axis=1).astype(np.float32)


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """`make_set("a", mask=..., labels="field", ...)` writes a data set, with a row for each id."""

    def make(*ids: str, name: str = "set", mask: np.ndarray | None = None, **row: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        table = []
        for item in ids:
            Image.fromarray(film()).save(folder / f"{item}.png")
            made = {"id": item, "image": f"{item}.png", "split": "test", "source": name}
            if mask is not None:
                Image.fromarray(mask).save(folder / f"{item}_mask.png")
                made |= {"mask": f"{item}_mask.png", "labels": "field"}
            table.append(made | row)
        path = folder / "manifest.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, HEADER)
            if fresh:
                writer.writeheader()
            writer.writerows(table)
        return folder

    return make


def test_a_known_shift_gives_the_derived_scores(make_set, tmp_path):
    data = make_set("a", "b", mask=lungs())
    summary = evaluate(
        EvaluationSettings(data=(data,), command="as typed"), Shifted(6), tmp_path / "out"
    )
    for structure in ("lungs", "right", "left"):
        results = summary["overall"][structure]
        assert results["dice"]["mean"] == 42 / 48
        assert results["iou"]["mean"] == round(42 / 54, 6)
        assert results["hd95_px"]["mean"] == 6
        assert results["area_error"]["mean"] == 0
        assert results["dice"]["share_under_090"] == 1.0
        assert results["dice"]["n"] == 2
        assert results["hd95_mm"]["n"] == results["hd95_mm"]["n_undefined"] == 0
    assert "heart" not in summary["overall"]
    assert summary["films"] == {"scored": 2, "failed": 0, "without_mask": 0, "beyond_limit": 0}
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_the_table_is_read_back_unchanged(make_set, tmp_path):
    data = make_set("a", mask=lungs(), condition="normal, or so", patient="p1")
    evaluate(EvaluationSettings(data=(data,)), Shifted(6), tmp_path)
    table = read_rows(tmp_path / "scores.csv")
    assert [row.structure for row in table] == ["lungs", "right", "left"]
    row = table[0]
    assert (row.id, row.source, row.condition, row.patient) == ("a", "set", "normal, or so", "p1")
    assert (row.truth_px, row.predicted_px) == (2 * 48 * 24, 2 * 48 * 24)
    assert row.scores.dice == 0.875
    assert row.scores.hd95_mm is None
    assert table[1].sides == "split"


def test_the_provenance_describes_the_run(make_set, tmp_path):
    data = make_set("a", mask=lungs())
    engine = Shifted()
    provenance = evaluate(EvaluationSettings(data=(data,), command="as typed"), engine, tmp_path)[
        "provenance"
    ]
    assert provenance["weights"]["sha256"] == "ab" * 32
    assert (provenance["engine"], provenance["command"], provenance["data"]["split"]) == (
        "known 1.0",
        "as typed",
        "test",
    )
    films = choose(EvaluationSettings(data=(data,))).films
    assert provenance["data"]["fingerprint"] == fingerprint(films)


def test_the_fingerprint_depends_on_content_only(make_set):
    here, there = (make_set("a", name=n, mask=lungs(), source="s") for n in ("one", "two"))
    one, two = (choose(EvaluationSettings(data=(item,))).films for item in (here, there))
    assert fingerprint(one) == fingerprint(two)
    Image.fromarray(lungs(down=1)).save(there / "a_mask.png")
    assert fingerprint(one) != fingerprint(two)


def test_labelled_sides_and_heart_are_scored_as_labelled(make_set, tmp_path):
    mask = lungs(right=1, left=2)
    mask[60:80, 40:56] = 3  # heart, 20 x 16
    data = make_set("a", mask=mask, labels="field_right=1;field_left=2;heart=3")

    def answer(channel: str, dark: np.ndarray) -> np.ndarray:
        results = np.zeros_like(dark)
        if channel == "heart":
            results[:, 60:80, 40:48] = True  # half of it
        else:
            side = RIGHT if channel == "right_field" else LEFT
            results[:, :, side] = dark[:, :, side]
        return results

    engine = Shifted(channels=("right_field", "left_field", "heart"), answer=answer)
    evaluate(EvaluationSettings(data=(data,)), engine, tmp_path)
    table = {row.structure: row for row in read_rows(tmp_path / "scores.csv")}
    assert {name: row.scores.dice for name, row in table.items()} == {
        "lungs": 1.0,
        "right": 1.0,
        "left": 1.0,
        "heart": round(2 * 160 / (320 + 160), 6),
    }
    assert table["right"].sides == "labelled"
    assert table["heart"].definition == ""


def test_ignored_areas_are_left_out_of_both_masks(make_set, tmp_path):
    # 6 rows at the top of the label and 6 below it are ignored: just where the shifted prediction
    # differs.
    mask = np.where(lungs() > 0, 255, 0).astype(np.uint8)
    mask[24:30] = mask[72:78] = 127
    data = make_set("a", mask=mask, labels="field=255;ignore=127")
    summary = evaluate(EvaluationSettings(data=(data,)), Shifted(6), tmp_path)
    assert summary["overall"]["lungs"]["dice"]["mean"] == 1.0
    assert summary["cases"]["with_ignored_areas"] == 1
    row = read_rows(tmp_path / "scores.csv")[0]
    assert row.ignored_px == 12 * SIDE
    assert row.truth_px == row.predicted_px == 2 * 42 * 24


def test_another_definition_stays_out_of_the_overall_scores(make_set, tmp_path):
    make_set("a", mask=lungs(), source="fields")
    data = make_set("b", mask=lungs(), labels="whole", source="wholes")
    summary = evaluate(EvaluationSettings(data=(data,)), Shifted(6), tmp_path)
    assert summary["overall"]["lungs"]["dice"]["n"] == 1
    assert summary["by_source"]["wholes"]["lungs"]["dice"]["mean"] == 0.875
    assert summary["sources"]["wholes"] == {
        "films": 1,
        "labels": {"whole": 1},
        "predicted": {"field": 1},
        "comparable": False,
    }
    page = (tmp_path / "report.html").read_text()
    assert "The masks of wholes follow &#39;whole&#39;, and &#39;field&#39; was predicted." in page
    # The tile and the table state the same figure, the mean.
    hd95 = summary["overall"]["lungs"]["hd95_px"]["mean"]
    assert f"<b>{hd95:.1f} px</b><span>mean HD95; median " in page
    assert "HD95, px, mean" in page


def test_weights_with_both_definitions_predict_the_labelled_one(make_set, tmp_path):
    make_set("a", mask=lungs(), source="fields")
    data = make_set("b", mask=lungs(), labels="whole", source="wholes")
    engine = Shifted(channels=("field", "whole"))
    summary = evaluate(EvaluationSettings(data=(data,)), engine, tmp_path / "own")
    assert all(source["comparable"] for source in summary["sources"].values())
    assert summary["overall"]["lungs"]["dice"]["n"] == 2
    forced = evaluate(EvaluationSettings(data=(data,), lungs="whole"), engine, tmp_path / "forced")
    assert not forced["sources"]["fields"]["comparable"]
    with pytest.raises(UsageError, match="'field', not 'whole'"):
        Evaluator(Shifted(), lungs="whole")


def test_a_missed_lung_has_dice_zero_and_no_distance(make_set, tmp_path):
    def right_only(_channel: str, dark: np.ndarray) -> np.ndarray:
        results = dark.copy()
        results[:, :, SIDE // 2 :] = False
        return results

    data = make_set("a", mask=lungs())
    summary = evaluate(EvaluationSettings(data=(data,)), Shifted(answer=right_only), tmp_path)
    left = summary["overall"]["left"]
    assert left["dice"]["mean"] == 0.0
    assert (left["hd95_px"]["n"], left["hd95_px"]["n_undefined"]) == (0, 1)
    assert left["hd95_px"]["mean"] is None
    assert summary["overall"]["right"]["dice"]["mean"] == 1.0
    assert summary["overall"]["lungs"]["dice"]["mean"] == round(2 / 3, 6)  # one of two lungs
    assert summary["cases"]["by_structure"]["left"] == {"missed": 1}
    assert summary["cases"]["one_lung_predicted"] == 1
    assert summary["cases"]["one_lung_labelled"] == 0


def test_empty_masks_are_counted_by_case(make_set, tmp_path):
    data = make_set("a", mask=np.zeros((SIDE, SIDE), np.uint8))
    nothing = Shifted(answer=lambda _channel, dark: np.zeros_like(dark))
    settings = EvaluationSettings(data=(data,), accepted=("empty-mask",))
    invented = evaluate(settings, Shifted(), tmp_path / "invented")
    neither = evaluate(settings, nothing, tmp_path / "neither")
    assert invented["cases"]["by_structure"]["lungs"] == {"invented": 1}
    assert invented["overall"]["lungs"]["dice"]["mean"] == 0.0
    assert neither["cases"]["by_structure"]["lungs"] == {"neither": 1}
    assert neither["overall"]["lungs"]["dice"]["n_undefined"] == 1
    assert neither["overall"]["lungs"]["dice"]["mean"] is None
    page = (tmp_path / "neither" / "report.html").read_text()
    assert "1 film: no lung is labelled and none was found" in page


def test_a_failed_film_is_listed_and_the_others_are_scored(make_set, tmp_path):
    data = make_set("a", "b", "c", mask=lungs())
    (data / "a.png").write_bytes(b"no picture")
    Image.fromarray(lungs()[:48]).save(data / "c_mask.png")  # the mask of another film
    summary = evaluate(EvaluationSettings(data=(data,)), Shifted(), tmp_path / "out")
    assert [failure["id"] for failure in summary["failures"]] == ["a", "c"]
    assert "other-aspect: film 96 x 96, mask 96 x 48 px" in summary["failures"][1]["error"]
    assert summary["films"]["scored"] == summary["overall"]["lungs"]["dice"]["n"] == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 films could not be read or segmented" in page


def test_masks_of_another_size_are_scored_at_that_size(make_set, tmp_path):
    """As in JSRT: a pixel of the mask is predicted if at least half of it is covered."""
    data = make_set("a", mask=lungs()[::2, ::2])
    evaluate(EvaluationSettings(data=(data,)), Shifted(6), tmp_path)
    row = read_rows(tmp_path / "scores.csv")[0]
    assert (row.height, row.width) == (48, 48)
    assert row.scores.dice == 0.875
    assert row.scores.hd95_px == 3


def test_the_spacing_is_that_of_the_mask(tmp_path):
    """Rows 0.5 mm, columns 0.25 mm apart in the film; the masks' pixels are twice as large."""
    Image.fromarray(lungs()[::2, ::2]).save(tmp_path / "mask.png")
    known = Film(
        id="a",
        source="drawn",
        image=tmp_path / "a.png",
        masks=(MaskPart(tmp_path / "mask.png", "field"),),
        decode=lambda _path: Radiograph(film().astype(np.float32), Spacing(0.5, 0.25, "user")),
    )
    row = rows(Evaluator(Shifted(6)).examine(known))[0]
    assert (row.row_mm, row.col_mm) == (1.0, 0.5)
    assert (row.scores.hd95_px, row.scores.hd95_mm) == (3.0, 3.0)


def test_only_films_of_the_split_with_a_mask_are_scored(make_set):
    make_set("a", "b", "c", mask=lungs())
    make_set("d", mask=lungs(), split="train")
    data = make_set("e")
    chosen = choose(EvaluationSettings(data=(data,)))
    assert [film.id for film in chosen.films] == ["a", "b", "c"]
    assert chosen.without_mask == 1
    assert len(choose(EvaluationSettings(data=(data,), split="all")).films) == 4


def test_a_limit_draws_films_by_the_seed(make_set):
    data = make_set(*"abcdefgh", mask=lungs())

    def ids(seed: int) -> list[str]:
        return [
            film.id for film in choose(EvaluationSettings(data=(data,), limit=4, seed=seed)).films
        ]

    assert ids(1) == ids(1) == sorted(ids(1))
    assert len({tuple(ids(seed)) for seed in range(8)}) > 1
    assert choose(EvaluationSettings(data=(data,), limit=4)).beyond_limit == 4
    assert choose(EvaluationSettings(data=(data,), limit=99)).beyond_limit == 0


def test_wrong_requests_name_what_exists(make_set, tmp_path):
    data = make_set("a", mask=lungs(), split="train")
    with pytest.raises(DataError, match=r"no film of split 'test'.*masks: train; .*--split"):
        choose(EvaluationSettings(data=(data,)))
    whole = make_set("b", mask=lungs(), split="", name="whole")
    with pytest.raises(DataError, match="not divided: give --splits with a file of `pleura data s"):
        choose(EvaluationSettings(data=(whole,)))
    bare = make_set("c", name="bare")
    with pytest.raises(DataError, match="no film of any other split has a mask either"):
        choose(EvaluationSettings(data=(bare,)))
    with pytest.raises(DataError, match=r"occur twice \(first: set/a\)"):
        choose(EvaluationSettings(data=(data, data), split="all"))
    with pytest.raises(UsageError, match="--limit must be 1 or more, got 0"):
        choose(EvaluationSettings(data=(data,), limit=0))
    (tmp_path / "other.csv").write_text("id,dice\na,0.9\n")
    settings = EvaluationSettings(data=(data,), split="all", compare=tmp_path / "other.csv")
    with pytest.raises(UsageError, match=r"other\.csv: column source, "):
        evaluate(settings, Shifted(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_comparing_runs_gives_the_paired_difference(make_set, tmp_path):
    data = make_set(*"abcdef", mask=lungs())
    evaluate(EvaluationSettings(data=(data,)), Shifted(3), tmp_path / "first")
    settings = EvaluationSettings(data=(data,), compare=tmp_path / "first" / "scores.csv")
    results = evaluate(settings, Shifted(6), tmp_path / "second")["comparison"]
    dice = results["difference"]["lungs"]["dice"]
    assert dice["mean"] == dice["mean_low"] == dice["mean_high"] == -3 / 48  # 42/48 - 45/48
    assert (dice["wins"], dice["losses"], dice["ties"]) == (0, 6, 0)
    hd95 = results["difference"]["lungs"]["hd95_px"]
    assert (hd95["mean"], hd95["losses"]) == (3.0, 6)
    assert results["difference"]["lungs"]["area_error"]["ties"] == 6
    assert "Against another run" in (tmp_path / "second" / "report.html").read_text()


def test_the_report_needs_no_other_file(make_set, tmp_path):
    data = make_set(*"abcdefg", mask=lungs(), condition="<b>odd & 'quoted'</b>")
    evaluate(EvaluationSettings(data=(data,), command="pleura evaluate <x>"), Shifted(6), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "<link" not in page
    assert "<b>odd" not in page  # text of the data is escaped
    assert "&lt;b&gt;odd &amp;" in page
    for address in re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', page):
        assert "".join(address).startswith(("data:image/", "#"))
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', page))
    defined = re.findall(r'\bid="([\w-]+)"', page)
    assert used == set(defined)
    assert "{{" not in page
    assert "None" not in page


def test_the_same_seed_gives_the_same_files(make_set, tmp_path):
    data = make_set(*"abcdefg", mask=lungs())

    def files(name: str) -> tuple[str, str]:
        evaluate(EvaluationSettings(data=(data,)), Shifted(6), tmp_path / name)
        table, page = (tmp_path / name / item for item in ("scores.csv", "report.html"))
        return table.read_text(), re.sub(r", [\d.]+ s a film|\d{4}-\d\d-\d\d", "", page.read_text())

    assert files("one") == files("two")


def test_progress_counts_every_film(make_set, tmp_path):
    data = make_set("a", "b", mask=lungs())
    steps: list[tuple[str, int, int]] = []
    evaluate(
        EvaluationSettings(data=(data,)),
        Shifted(),
        tmp_path,
        on_progress=lambda *step: steps.append(step),
    )
    assert steps[:3] == [("score", 0, 2), ("score", 1, 2), ("score", 2, 2)]
    drawn = [step for step in steps if step[0] == "draw"]
    assert drawn == [("draw", done, 4) for done in range(5)]  # two random films, two worst ones
