from __future__ import annotations

import re
from pathlib import Path

import pytest

from pleura.apps.cli.exit_codes import Exit, exit_code
from pleura.apps.serve import errors as service_errors
from pleura.apps.serve.responses.problem_details import problem_details
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
        (ZeroDivisionError, 1, 500),
        (OSError, 1, 500),
    ],
)
def test_an_error_has_the_exit_code_and_the_http_status_of_its_class(
    error: type[Exception], code: int, status: int
) -> None:
    assert exit_code(error("message")) == code
    assert problem_details(error("message"))["status"] == status


def test_an_interruption_has_the_exit_code_of_a_signal() -> None:
    assert exit_code(KeyboardInterrupt()) == 130


def test_a_new_error_class_has_the_numbers_of_its_parent() -> None:
    class Torn(errors.UnreadableFilm):
        pass

    assert exit_code(Torn("x")) == errors.UnreadableFilm.exit_code
    assert Torn.http_status == errors.UnreadableFilm.http_status


def test_only_errors_of_the_machine_share_the_exit_code_of_a_defect() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "PleuraError"]
    unexpected = [kind for kind in kinds if exit_code(kind("message")) == Exit.UNEXPECTED]
    assert all(issubclass(kind, errors.OutputError) for kind in unexpected)  # the disk, for example


def test_the_reference_has_the_numbers_of_every_error() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "exit-codes.md"
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page.read_text(), re.M)
    kinds = {
        name: getattr(where, name)
        for where in (errors, service_errors)
        for name in where.__all__
        if isinstance(getattr(where, name), type)
        and issubclass(getattr(where, name), errors.PleuraError)
    }
    assert rows == [
        (name, str(kinds[name].exit_code), str(kinds[name].http_status)) for name, _, _ in rows
    ]
    assert sorted(name for name, _, _ in rows) == sorted(kinds)
