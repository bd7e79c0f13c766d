from __future__ import annotations

import re
from pathlib import Path

import pytest

from pleura.apps.cli.exit_codes import Exit, answer
from pleura.apps.serve import errors as service_errors
from pleura.core import errors


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.UnreadableFilm, 3, 415),
        (errors.UnsuitableFilm, 3, 422),
        (errors.FilmError, 3, 422),
        (errors.UsageError, 2, 400),
        (errors.DataError, 2, 400),
        (errors.WeightsError, 5, 503),
        (errors.OutputError, 1, 507),
        (errors.DiskFull, 1, 507),
        (errors.PleuraError, 1, 500),
        (KeyboardInterrupt, 130, 503),
        (ZeroDivisionError, 1, 500),
        (OSError, 1, 500),
    ],
)
def test_an_error_is_answered_by_its_nearest_kind(
    error: type[BaseException], code: int, status: int
) -> None:
    given = answer(error("message"))
    assert (given.exit_code, given.http_status) == (code, status)


def test_a_kind_of_error_that_is_new_is_answered_as_its_parent() -> None:
    class Torn(errors.UnreadableFilm):
        pass

    assert answer(Torn("x")) == answer(errors.UnreadableFilm("x"))


def test_every_error_of_ours_has_an_answer_that_is_not_a_surprise() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "PleuraError"]
    surprises = [kind for kind in kinds if answer(kind("message")).exit_code == Exit.UNEXPECTED]
    assert all(issubclass(kind, errors.OutputError) for kind in surprises)  # the machine refused


def test_the_reference_has_every_error_as_it_is_answered() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "exit-codes.md"
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page.read_text(), re.M)
    kinds = {
        name: getattr(where, name)
        for where in (errors, service_errors)
        for name in where.__all__
        if isinstance(getattr(where, name), type)
        and issubclass(getattr(where, name), errors.PleuraError)
    }
    answers = {name: answer(kind.__new__(kind)) for name, kind in kinds.items()}
    assert rows == [
        (name, str(int(answers[name].exit_code)), str(answers[name].http_status))
        for name, _, _ in rows
    ]
    assert sorted(name for name, _, _ in rows) == sorted(kinds)
