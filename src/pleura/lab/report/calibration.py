"""`pleura calibrate`, whole: a temperature from one split, judged on another."""

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
from pleura.core.errors import UsageError
from pleura.io.atomic import write_with_digest, written_whole
from pleura.lab.data.film import Film
from pleura.lab.evaluate.calibration import (
    BINS,
    PIXELS,
    Drawn,
    Tempered,
    best_temperature,
    draw_pixels,
    joined,
    reliability,
)
from pleura.lab.evaluate.case import Examined, Judge
from pleura.lab.evaluate.fit_reference import Seen, fit_reference_values, see
from pleura.lab.evaluate.trial import Failure, Selection, Trial, choose, fingerprint
from pleura.lab.evaluate.verdicts import figures, judge_seen, negatives
from pleura.lab.report.charts import COLOURS
from pleura.lab.report.evaluation import provenance
from pleura.lab.report.numbers import number, percent
from pleura.lab.report.page import Page, Table
from pleura.lab.report.robustness import made_by
from pleura.net.export import with_temperature
from pleura.runtime.engine import Engine, OnnxEngine

__all__ = ["Tuning", "calibrate", "calibration_table", "write_tempered"]

SCHEMA = 1
"""Of calibration.json; it grows when a key changes its meaning or goes."""

NOTES = {
    "pixels": f"up to {PIXELS} of each film, drawn by the seed, at the film's own size; every "
    "channel that the film labels, none of the areas to ignore",
    "ece": f"expected calibration error: {BINS} bins of equal width, |share that is true - mean "
    "probability| averaged over pixels. Most pixels are plainly lung or plainly not, so it is "
    "small for any network that segments well",
    "mean_gap": "the same averaged over bins, so that the unsure pixels along the outline count as "
    "much as the sure ones",
    "temperature": "divides the logits; chosen by the log loss of the tuning films' pixels, as "
    "restored. 'After' is the shipped path run again with it, so the restoring is inside",
    "masks": "a probability can at best mean how often people would call a pixel lung as these "
    "masks do; where masks are drawn at a fair pace, outlines are unsure",
    "effect": "no square's pixel changes sides at 0.5, so masks change by less than the "
    "resampling of their outline",
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """On what temperature and norms are chosen, besides the films that they are judged on."""

    split: str = "val"
    negatives: tuple[Path, ...] = ()
    """Folders and files of what is no frontal chest film, to judge the verdict on."""


def calibrate(
    trial: Trial,
    engine: Engine,
    out: Path,
    *,
    tuning: Tuning = Tuning(),
    on_film: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Choose temperature and norms on one split, judge them on the trial's; give the figures.

    Writes `calibration.json`, `.png` and `.html`. `on_film` is called with how many films are
    done, and of how many; each counts twice: before and after the temperature.

    Raises:
        DataError: no such data, or no film with a mask in one of the splits.
        UsageError: the two splits are one.
        WeightsError: the engine's weights answer nonsense.
    """
    _check_splits(tuning.split, trial.split)
    carve = _carving(engine.card) if tuning.split == "val" else None
    tuned_on, judged_on = choose(replace(trial, split=tuning.split, carve=carve)), choose(trial)
    watch = _Watch(trial, 2 * (len(tuned_on.films) + len(judged_on.films)), on_film)
    failures: list[Failure] = []
    tuned = watch.look(tuned_on.films, Tempered(engine, 1.0), failures).drawn
    temperature = best_temperature(*joined(tuned))
    norms = fit_reference_values(watch.look(tuned_on.films, Tempered(engine, temperature), []).seen)
    before = watch.look(judged_on.films, Tempered(engine, 1.0), failures).drawn
    judged = Tempered(engine, temperature, norms)
    after = watch.look(judged_on.films, judged, [])  # the same films fail again: told once
    told = {
        "schema": SCHEMA,
        "provenance": provenance(trial, engine, judged_on),
        "temperature": temperature,
        "card_temperature": engine.card.temperature,
        "norms": norms,
        "tuning": _tuned(tuning, tuned_on, tuned),
        "films": {"judged": len(judged_on.films), "failed": len(failures)},
        "failures": [{"id": f.id, "source": f.source, "error": f.error} for f in failures],
        **_judged(before, after.drawn),
        "verdicts": figures(judge_seen(after.seen, norms)),
        "negatives": negatives(tuning.negatives, judged) if tuning.negatives else None,
    }
    _write(told, out)
    return told


def _tuned(tuning: Tuning, chosen: Selection, drawn: Sequence[Drawn]) -> dict[str, Any]:
    """On what temperature and norms were chosen."""
    films = {"films": len(chosen.films), "fingerprint": fingerprint(chosen.films)}
    return {"split": tuning.split, **films, **_figures(drawn)}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one pass over films gives."""

    drawn: list[Drawn]
    seen: list[Seen]


class _Watch:
    """Looks at films, again and again, and counts them."""

    def __init__(self, trial: Trial, total: int, on_film: Callable[[int, int], None]) -> None:
        self.trial, self.total, self.done, self.on_film = trial, total, 0, on_film
        on_film(0, total)

    def look(self, films: Sequence[Film], engine: Tempered, failures: list[Failure]) -> _Looked:
        """Pixels and features of every film; what failed goes to `failures`."""
        seen: list[Seen] = []

        def step(examined: Examined | None) -> None:
            seen.extend(see(examined, engine.card) if examined else [])
            self.done += 1
            self.on_film(self.done, self.total)

        judge, seed = Judge(engine, lungs=self.trial.lungs), self.trial.seed
        drawn = draw_pixels(films, judge, seed=seed, failures=failures, on_film=step)
        return _Looked(drawn, seen)


def _carving(card: Card) -> tuple[float, int] | None:
    """Share and seed by which training carved the films it chose its epoch on."""
    share, seed = card.recipe.get("validation_share"), card.recipe.get("validation_seed")
    if seed is None:  # weights of before there was one
        seed = card.recipe.get("seed")
    return (share, seed) if isinstance(share, float) and isinstance(seed, int) else None


def _judged(before: Sequence[Drawn], after: Sequence[Drawn]) -> dict[str, Any]:
    """The figures before and after, of all pixels and of each part, and what they mean."""
    return {
        "overall": _both(before, after),
        "by_source": _parts(before, after, "source"),
        "by_channel": _parts(before, after, "channel"),
        "notes": NOTES,
    }


def _check_splits(tune: str, judge: str) -> None:
    if tune in (judge, "all") or judge == "all":
        raise UsageError(
            f"a temperature chosen on '{tune}' says nothing when judged on '{judge}': "
            "name two splits that share no film with --tune and --split"
        )


def write_tempered(
    weights: bytes, temperature: float, target: Path, *, norms: dict[str, Any] | None = None
) -> None:
    """Write the ONNX file `weights` with temperature in its graph and norms on its card.

    Its .sha256 goes beside it.

    Without `norms` the card has none: those it had were of another temperature.

    Raises:
        WeightsError: these are no weights, no temperature, or no norms.
    """
    card = replace(OnnxEngine(weights).card, temperature=temperature, norms=norms or {})
    content = with_temperature(weights, card)
    write_with_digest(target, content)


def _figures(drawn: Sequence[Drawn]) -> dict[str, Any]:
    return reliability(*joined(drawn))


def _both(before: Sequence[Drawn], after: Sequence[Drawn]) -> dict[str, Any]:
    return {"before": _figures(before), "after": _figures(after)}


def _parts(before: Sequence[Drawn], after: Sequence[Drawn], key: str) -> dict[str, Any]:
    names = sorted({getattr(each, key) for each in before})
    return {
        name: _both(
            [each for each in before if getattr(each, key) == name],
            [each for each in after if getattr(each, key) == name],
        )
        for name in names
    }


def _write(told: dict[str, Any], out: Path) -> None:
    picture = draw(told)
    with written_whole(out / "calibration.png") as file:
        file.write(picture)
    for name, text in (
        ("calibration.html", _page(told, picture).html()),
        ("calibration.json", json.dumps(told, indent=1, allow_nan=False) + "\n"),
    ):
        with written_whole(out / name, "w") as file:
            file.write(text)


def calibration_table(told: dict[str, Any]) -> Table:
    """Before and after, for all pixels, each source and each channel."""
    parts = {"all pixels": told["overall"], **told["by_source"], **told["by_channel"]}
    head = ("", "pixels", "ECE before", "after", "mean gap before", "after", "Brier", "after")
    return Table("Before and after", head, tuple(_cells(*each) for each in parts.items()))


def _cells(title: str, both: dict[str, Any]) -> tuple[str, ...]:
    pairs = [
        number(both[when][key], 4)
        for key in ("ece", "mean_gap", "brier")
        for when in ("before", "after")
    ]
    return (title, f"{both['before']['pixels']:,}", *pairs)


def verdict_table(told: dict[str, Any]) -> Table:
    """What the verdicts are worth, on films and on what is none."""
    head = ("verdicts", "films", "review", "refused", "MAE of Dice", "correlation", "AUROC",
            "poor", "of them sent")  # fmt: skip
    found = told["verdicts"]
    rows = {"all that are labelled": found["labelled"], **found["by_source"]}
    for name, each in found["by_definition"].items():
        rows |= {f"{name}, labelled": each["labelled"], f"{name}, others": each["others"]}
    for name, parts in (told["negatives"] or {"by_definition": {}})["by_definition"].items():
        rows |= {f"no chest film, {part}, {name}": each for part, each in parts.items()}
    return Table(
        "What the verdicts are worth", head, tuple(_verdict(*each) for each in rows.items())
    )


def _verdict(title: str, each: dict[str, Any]) -> tuple[str, ...]:
    numbers = (number(each.get(key), 4) for key in ("mae", "correlation", "auroc"))
    counts = (str(each.get(key, "–")) for key in ("poor", "poor_sent"))
    shares = percent(each["review"]), percent(each["refused"])
    return (title, str(each["films"]), *shares, *numbers, *counts)


def _page(told: dict[str, Any], picture: bytes) -> Page:
    return Page(
        title="Pleura: do its probabilities come true?",
        lead=f"A temperature of {told['temperature']:g}, chosen on {told['tuning']['films']} films "
        f"of split {told['tuning']['split']}, judged on {told['films']['judged']} films of split "
        f"{told['provenance']['data']['split']}. The weights' own card says "
        f"{told['card_temperature']:g}.",
        tables=(calibration_table(told), verdict_table(told)),
        notes=told["notes"],
        made=made_by(told["provenance"]),
        picture=picture,
        caption="How often a pixel is what was said of it, against how likely it was said to be. "
        "On the diagonal the two agree; above it the network says too little, below too much.",
    )


def draw(told: dict[str, Any]) -> bytes:
    """The curves of every source before and after, as a PNG."""
    figure = Figure(figsize=(8.4, 4.3), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    titles = {"before": "temperature 1", "after": f"temperature {told['temperature']:g}"}
    for axes, (when, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="#5D6770", linewidth=0.8, linestyle=(0, (4, 3)))
        for index, (source, both) in enumerate(told["by_source"].items()):
            curve = both[when]["curve"]
            places = [each["said"] for each in curve], [each["true"] for each in curve]
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(*places, marker="o", markersize=3.5, color=colour, label=source)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        axes.set(xlabel="probability said", ylabel="share that is true")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, loc="upper left")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()
