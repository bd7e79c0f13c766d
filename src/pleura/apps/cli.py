"""The command line's door: how every command begins and ends.

What `pleura --help` and `--version` say is said before anything else is loaded.
"""

from __future__ import annotations

import sys

import pleura

TYPE_CHECKING = False  # as typing has it, whose import would double the time of `pleura --help`
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (of `sys.argv` if None); give the exit code.

    The one place where errors become exit codes; their text goes to stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given in (["--help"], ["-h"]):
            from pleura.apps.contents import page

            return _say(page())
        if given == ["--version"]:
            return _say(f"pleura {pleura.__version__}")
        return _run(given)
    except (KeyboardInterrupt, Exception) as error:
        return _end(error)


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _run(arguments: Sequence[str]) -> int:
    from typer.main import get_command

    from pleura.apps.commands import app

    try:
        get_command(app)(arguments, prog_name="pleura")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _end(error: BaseException) -> int:
    """Say what went wrong, for people; a traceback only where the fault is ours."""
    import traceback

    from pleura.apps.answers import answer
    from pleura.apps.extras import missing_package
    from pleura.core.errors import PleuraError

    if isinstance(error, ModuleNotFoundError):
        error = missing_package(error) or error
    if isinstance(error, PleuraError | OSError):
        said = f"pleura: {error}"
    elif isinstance(error, KeyboardInterrupt):
        said = "pleura: interrupted"
    else:
        traceback.print_exception(error, file=sys.stderr)
        said = (
            f"pleura {pleura.__version__}: this is a defect; please report it with the lines above"
        )
    print(said, file=sys.stderr)  # noqa: T201 - the door's own word, before typer is there
    return answer(error).exit_code
