"""The state of a run that is continued: its recipe, complete epochs and extensions."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pleura.core.errors import UsageError
from pleura.lab.train.export import read_facts
from pleura.lab.train.recipe import Recipe, parse_recipe

__all__ = ["Resume", "RunState", "read_run_state"]

log = logging.getLogger(__name__)


Resume: TypeAlias = bool | Literal["extend"]
"""Whether a run is continued; `extend` if its number of epochs was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The state of a run in its folder."""

    recipe: Recipe
    """The recipe that continues; the one that was shortened, if the run was."""

    epochs_done: int = 0
    """Complete epochs; 0 if there is no run."""

    facts: dict[str, Any]
    """Facts that every later checkpoint repeats: `extended`, the epochs at which a finished run was
    continued with more of them, and `asked`, the recipe of a run that was shortened."""


def read_run_state(last: Path, recipe: Recipe, *, resume: Resume) -> RunState:
    """The run with the checkpoint `last`, to be continued by `recipe`.

    A finished run continues with a recipe of more epochs, and has a schedule of its own for these.
    A finished run that was shortened stays finished with the recipe that it was asked for; with
    `resume="extend"` it continues to the epochs of that recipe.

    Raises `UsageError` if there is a run and `resume` is false, or if it is of another recipe.
    """
    if not last.exists():
        return RunState(recipe=recipe, facts={})
    if not resume:
        raise UsageError(
            f"{last.parent.parent} holds a run already; "
            "continue with --resume, or take another --out"
        )
    facts = read_facts(last)
    before, done = parse_recipe(facts["recipe"]), int(facts["epoch"]) + 1
    finished = done >= before.epochs
    recipe = _as_shortened(recipe, before, facts, extend=finished and resume == "extend")
    extended: list[int] = list(facts.get("extended", ()))
    if recipe.epochs > before.epochs and finished:
        extended.append(before.epochs)
        before = replace(before, epochs=recipe.epochs)
    _require_same(before, recipe, last.parent.parent)
    repeated = {"extended": extended} if extended else {}
    repeated |= {"asked": facts["asked"]} if "asked" in facts else {}
    if "asked" in facts and done >= recipe.epochs < facts["asked"]["epochs"]:
        log.info(
            "the run was shortened to %d of %d epochs and is finished; more --epochs continue it",
            *(recipe.epochs, facts["asked"]["epochs"]),
        )
    return RunState(recipe=recipe, epochs_done=done, facts=repeated)


def _as_shortened(recipe: Recipe, before: Recipe, facts: dict[str, Any], *, extend: bool) -> Recipe:
    """The recipe as the run was shortened, if it is the one that the run was asked for.

    With `extend`, the number of epochs is that of `recipe`.
    """
    if "asked" not in facts:
        return recipe
    requested = parse_recipe(facts["asked"])
    if recipe == requested and not extend:
        return before
    return (
        replace(before, epochs=recipe.epochs)
        if _differ_in_epochs_only(requested, recipe)
        else recipe
    )


def _differ_in_epochs_only(first: Recipe, other: Recipe) -> bool:
    return replace(first, epochs=other.epochs) == other


def _require_same(before: Recipe, now: Recipe, out: Path) -> None:
    theirs, ours = asdict(before), asdict(now)
    changed = [
        f"{key} was {theirs[key]!r}, now {value!r}"
        for key, value in ours.items()
        if value != theirs[key]
    ]
    if changed:
        more = "; only a finished run can have more epochs" if before.epochs != now.epochs else ""
        raise UsageError(
            f"{out} is a run of another recipe ({'; '.join(changed)}); resume with its own, or "
            f"take another --out, where `init` can name the weights of this run{more}"
        )
