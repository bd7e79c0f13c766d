"""The run of `pleura calibrate`: fit a temperature on one split, evaluate it on another."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pleura.core.card import Card
from pleura.core.errors import DataError, UsageError
from pleura.io.files.atomic import atomic_write, write_with_digest
from pleura.lab.data.film import Film
from pleura.lab.data.labels import labelled_channels
from pleura.lab.evaluate.calibration import (
    BINS,
    PIXELS,
    PixelSample,
    TemperatureScaled,
    best_temperature,
    draw_pixels,
    join_samples,
    reliability,
)
from pleura.lab.evaluate.case import Evaluator, Examined
from pleura.lab.evaluate.evaluation import (
    EvaluationSettings,
    Failure,
    Selection,
    choose,
    fingerprint,
)
from pleura.lab.evaluate.fit_reference import ResultFeatures, fit_reference_values, result_features
from pleura.lab.evaluate.verdicts import judge_results, negative_figures, verdict_figures
from pleura.lab.report.evaluation import provenance
from pleura.lab.report.numbers import number, percent
from pleura.lab.report.page import Page, Table
from pleura.lab.report.robustness import made_by
from pleura.net.export import with_temperature
from pleura.runtime.engine import Engine, OnnxEngine

__all__ = ["Tuning", "calibrate", "calibration_table", "write_with_temperature"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of the sources, for colour-blind readers too (Okabe and Ito); they repeat."""

SCHEMA = 1
"""The schema version of calibration.json; it grows when a key changes or is removed."""

NOTES = {
    "pixels": f"up to {PIXELS} of each film, drawn at random, at the film's own size; every "
    "channel that the film labels, without ignored areas",
    "ece": f"expected calibration error: {BINS} bins of equal width, |share labelled - mean "
    "probability| averaged over pixels. Most pixels are clearly lung or clearly not, so it is "
    "small for every good network",
    "mean_gap": "the same averaged over bins, so that the uncertain pixels along the outline count "
    "as much as the certain ones",
    "temperature": "divides the logits; it has the smallest log loss on the tuning films' pixels, "
    "at the film's size. 'After' is the shipped path run again with it",
    "masks": "a probability can at best be the share of readers who would label a pixel as lung; "
    "outlines of quickly drawn masks are uncertain",
    "effect": "no pixel of the network's square crosses the threshold of 0.5, so masks change only "
    "by the resampling of their outline",
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """The split to fit temperature and reference values on, and negatives for the verdict."""

    split: str = "val"
    negatives: tuple[Path, ...] = ()
    """Folders and files of pictures that are no frontal chest films, to evaluate the verdict."""


def calibrate(
    settings: EvaluationSettings,
    engine: Engine,
    out: Path,
    *,
    tuning: Tuning = Tuning(),
    on_film: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Fit temperature and reference values on one split, and evaluate them on that of `settings`.

    Writes `calibration.json`, `.png` and `.html`, and returns the content of the JSON. `on_film` is
    called with the numbers of films done and to do; each film counts twice, before and after. The
    limit of `settings` leaves out films to evaluate on, never films to fit on.

    Raises:
        DataError: no such data, or no film in one of the splits whose mask is of use.
        UsageError: the two splits share films.
        WeightsError: the network gives invalid numbers.
    """
    _check_splits(tuning.split, settings.split)
    validation_draw = _validation_draw(engine.card) if tuning.split == "val" else None
    fitted = replace(settings, split=tuning.split, validation_draw=validation_draw, limit=None)
    tuned_on, judged_on = choose(fitted), choose(settings)
    _check_labelled(tuned_on.films, engine.card)
    passes = _Passes(settings, 2 * (len(tuned_on.films) + len(judged_on.films)), on_film)
    failures: list[Failure] = []
    tuned = passes.run(tuned_on.films, TemperatureScaled(engine, 1.0), failures).samples
    temperature = best_temperature(*join_samples(tuned))
    norms = fit_reference_values(
        passes.run(tuned_on.films, TemperatureScaled(engine, temperature), []).features
    )
    before = passes.run(judged_on.films, TemperatureScaled(engine, 1.0), failures).samples
    judged = TemperatureScaled(engine, temperature, norms)
    # The same films fail again, and are listed once.
    after = passes.run(judged_on.films, judged, [])
    result = {
        "schema": SCHEMA,
        "provenance": provenance(settings, engine, judged_on),
        "temperature": temperature,
        "card_temperature": engine.card.temperature,
        "norms": norms,
        "tuning": _tuned(tuning, tuned_on, tuned),
        "films": {"judged": len(judged_on.films), "failed": len(failures)},
        "failures": [failure.as_dict() for failure in failures],
        **_comparison(before, after.samples),
        "verdicts": verdict_figures(judge_results(after.features, norms)),
        "negatives": negative_figures(tuning.negatives, judged) if tuning.negatives else None,
    }
    _write(result, out)
    return result


def _check_labelled(films: Sequence[Film], card: Card) -> None:
    """Raise `DataError` if the masks of the films to tune on label no channel of the weights."""
    labelled = labelled_channels(films)
    if not labelled & set(card.channels):
        raise DataError(
            f"the masks of the {len(films)} films to tune on label {', '.join(sorted(labelled))}, "
            f"and these weights give {', '.join(card.channels)}; name films whose masks label one "
            "of these"
        )


def _tuned(tuning: Tuning, selection: Selection, samples: Sequence[PixelSample]) -> dict[str, Any]:
    """The films and pixels on which temperature and reference values were fitted."""
    films = {"films": len(selection.films), "fingerprint": fingerprint(selection.films)}
    return {"split": tuning.split, **films, **_reliability(samples)}


@dataclass(frozen=True, slots=True)
class _PassResult:
    """The result of one pass over films."""

    samples: list[PixelSample]
    features: list[ResultFeatures]


class _Passes:
    """Segments films in several passes, and counts them for the progress."""

    def __init__(
        self, settings: EvaluationSettings, total: int, on_film: Callable[[int, int], None]
    ) -> None:
        self.settings, self.total, self.done, self.on_film = settings, total, 0, on_film
        on_film(0, total)

    def run(
        self, films: Sequence[Film], engine: TemperatureScaled, failures: list[Failure]
    ) -> _PassResult:
        """The pixels and features of all films; films that fail are appended to `failures`."""
        features: list[ResultFeatures] = []

        def step(examined: Examined | None) -> None:
            features.extend(result_features(examined, engine.card) if examined else [])
            self.done += 1
            self.on_film(self.done, self.total)

        evaluator, seed = Evaluator(engine, lungs=self.settings.lungs), self.settings.seed
        samples = draw_pixels(films, evaluator, seed=seed, failures=failures, on_film=step)
        return _PassResult(samples, features)


def _validation_draw(card: Card) -> tuple[float, int] | None:
    """The share and the seed with which training chose its validation films."""
    share, seed = card.recipe.get("validation_share"), card.recipe.get("validation_seed")
    if seed is None:  # of older weights
        seed = card.recipe.get("seed")
    return (share, seed) if isinstance(share, float) and isinstance(seed, int) else None


def _comparison(before: Sequence[PixelSample], after: Sequence[PixelSample]) -> dict[str, Any]:
    """The reliability before and after, of all pixels, by source and by channel, with notes."""
    return {
        "overall": _both(before, after),
        "by_source": _parts(before, after, "source"),
        "by_channel": _parts(before, after, "channel"),
        "notes": NOTES,
    }


def _check_splits(tune: str, split: str) -> None:
    if tune in (split, "all") or split == "all":
        raise UsageError(
            f"a temperature chosen on '{tune}' cannot be evaluated on '{split}': "
            "name two splits that share no film with --tune and --split"
        )


def write_with_temperature(
    weights: bytes, temperature: float, target: Path, *, norms: dict[str, Any] | None = None
) -> None:
    """Write the ONNX file `weights` with a temperature and with reference values on its card.

    Its .sha256 file is written beside it. Without `norms` the card has no reference values, since
    the old ones belong to another temperature.

    Raises:
        WeightsError: the weights, the temperature or the reference values are invalid.
    """
    card = replace(OnnxEngine(weights).card, temperature=temperature, norms=norms or {})
    content = with_temperature(weights, card)
    write_with_digest(target, content)


def _reliability(samples: Sequence[PixelSample]) -> dict[str, Any]:
    return reliability(*join_samples(samples))


def _both(before: Sequence[PixelSample], after: Sequence[PixelSample]) -> dict[str, Any]:
    return {"before": _reliability(before), "after": _reliability(after)}


def _parts(before: Sequence[PixelSample], after: Sequence[PixelSample], key: str) -> dict[str, Any]:
    names = sorted({getattr(sample, key) for sample in before})
    return {
        name: _both(
            [sample for sample in before if getattr(sample, key) == name],
            [sample for sample in after if getattr(sample, key) == name],
        )
        for name in names
    }


def _write(result: dict[str, Any], out: Path) -> None:
    picture = draw(result)
    with atomic_write(out / "calibration.png") as file:
        file.write(picture)
    for name, text in (
        ("calibration.html", _page(result, picture).html()),
        ("calibration.json", json.dumps(result, indent=1, allow_nan=False) + "\n"),
    ):
        with atomic_write(out / name, "w") as file:
            file.write(text)


def calibration_table(result: dict[str, Any]) -> Table:
    """The table of reliability before and after: of all pixels, by source and by channel."""
    parts = {"all pixels": result["overall"], **result["by_source"], **result["by_channel"]}
    head = ("", "pixels", "ECE before", "after", "mean gap before", "after", "Brier", "after")
    return Table("Before and after", head, tuple(_cells(*part) for part in parts.items()))


def _cells(title: str, both: dict[str, Any]) -> tuple[str, ...]:
    pairs = [
        number(both[when][key], 4)
        for key in ("ece", "mean_gap", "brier")
        for when in ("before", "after")
    ]
    return (title, f"{both['before']['pixels']:,}", *pairs)


def verdict_table(result: dict[str, Any]) -> Table:
    """The table of verdicts on labelled films and on pictures that are no chest films."""
    head = ("verdicts", "films", "review", "refused", "MAE of Dice", "correlation", "AUROC",
            "poor", "poor to review")  # fmt: skip
    verdicts = result["verdicts"]
    rows = {"all labelled films": verdicts["labelled"], **verdicts["by_source"]}
    for name, films in verdicts["by_definition"].items():
        rows |= {f"{name}, labelled": films["labelled"], f"{name}, others": films["others"]}
    for name, parts in (result["negatives"] or {"by_definition": {}})["by_definition"].items():
        rows |= {f"no chest film, {part}, {name}": figures for part, figures in parts.items()}
    return Table("Verdicts", head, tuple(_verdict_cells(*row) for row in rows.items()))


def _verdict_cells(title: str, figures: dict[str, Any]) -> tuple[str, ...]:
    numbers = (number(figures.get(key), 4) for key in ("mae", "correlation", "auroc"))
    counts = (str(figures.get(key, "–")) for key in ("poor", "poor_sent"))
    shares = percent(figures["review"]), percent(figures["refused"])
    return (title, str(figures["films"]), *shares, *numbers, *counts)


def _page(result: dict[str, Any], picture: bytes) -> Page:
    tuning = result["tuning"]
    return Page(
        title="Pleura: calibration of its probabilities",
        lead=f"A temperature of {result['temperature']:g}, chosen on {tuning['films']} films of "
        f"split {tuning['split']}, evaluated on {result['films']['judged']} films of split "
        f"{result['provenance']['data']['split']}. The card of the weights has "
        f"{result['card_temperature']:g}.",
        tables=(calibration_table(result), verdict_table(result)),
        notes=result["notes"],
        made=made_by(result["provenance"]),
        picture=picture,
        caption="The share of labelled pixels over the predicted probability. On the diagonal the "
        "two agree; above it the probabilities are too low, below it too high.",
    )


def draw(result: dict[str, Any]) -> bytes:
    """The curves of every source before and after, as a PNG."""
    figure = Figure(figsize=(8.4, 4.3), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    titles = {"before": "temperature 1", "after": f"temperature {result['temperature']:g}"}
    for axes, (when, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="#5D6770", linewidth=0.8, linestyle=(0, (4, 3)))
        for index, (source, both) in enumerate(result["by_source"].items()):
            curve = both[when]["curve"]
            points = [point["said"] for point in curve], [point["true"] for point in curve]
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(*points, marker="o", markersize=3.5, color=colour, label=source)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        axes.set(xlabel="predicted probability", ylabel="share labelled")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, loc="upper left")
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
