"""The start and the end of every command.

`pleura --help` and `--version` are answered before anything else is loaded.
"""

from __future__ import annotations

import os
import sys

from pleura._version import __version__

TYPE_CHECKING = False  # as typing has it, whose import would double the time of `pleura --help`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

__all__ = ["main"]

_STDOUT = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (of `sys.argv` if None); give the exit code.

    The one place where errors become exit codes; their text goes to stderr.
    """
    _open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given in (["--help"], ["-h"]):
            from pleura.apps.cli.contents import page

            code = _say(page())
        elif given == ["--version"]:
            code = _say(f"pleura {__version__}")
        else:
            code = _run(given)
    except (KeyboardInterrupt, Exception) as error:
        code = _end(error)
    return _flushed(code)


def _say(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _run(arguments: Sequence[str]) -> int:
    from typer.main import get_command

    from pleura.apps.cli.commands import app

    try:
        get_command(app)(arguments, prog_name="pleura")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich make 1 of it
            raise end.__context__ from None
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):
            raise KeyboardInterrupt from None  # typer makes a silent 130 of it
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _end(error: BaseException) -> int:
    """Print what went wrong; a traceback only for a defect of Pleura."""
    import traceback

    from pleura.apps.cli.exit_codes import Exit, exit_code
    from pleura.apps.cli.extras import missing_package
    from pleura.apps.cli.progress import say
    from pleura.apps.segment.memory import OUT_OF_MEMORY, is_out_of_memory
    from pleura.core.errors import PleuraError

    if isinstance(error, ModuleNotFoundError):
        error = missing_package(error) or error
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return Exit.BROKEN_PIPE
    if isinstance(error, PleuraError):
        say(f"pleura: {error}")
    elif is_out_of_memory(error):
        say(f"pleura: {OUT_OF_MEMORY}")
    elif isinstance(error, OSError):
        say(f"pleura: {error}")
    elif isinstance(error, KeyboardInterrupt):
        say("pleura: interrupted")
    else:
        say("".join(traceback.format_exception(error)).rstrip())
        say(f"pleura {__version__}: this is a defect; please report it with the lines above")
    return exit_code(error)


def _open_closed_streams() -> None:
    """Put the null device where a standard stream is closed (`2>&-`, pythonw, services).

    Otherwise the next file that is opened takes the stream's number, and what libraries print goes
    into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _reader_is_gone() -> bool:
    """Whether the reader of stdout closed it; rich then replaces it by the null device."""
    import select

    if os.path.samestat(os.fstat(_STDOUT), os.stat(os.devnull)):  # noqa: PTH116
        return True
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(_STDOUT, 0)  # errors are always reported
    return bool(poll.poll(0))


def _flushed(code: int) -> int:
    """Flush the streams; the exit code, which an error of stdout may change."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError as error:
            if stream is sys.__stdout__ and code == 0:
                code = _end(error)
            _drop_buffer(stream)
    if "pleura.apps.cli.progress" in sys.modules:
        from pleura.apps.cli.progress import leave_if_stuck

        leave_if_stuck(code)
    return code


def _drop_buffer(stream: TextIO) -> None:
    """Drop what is left in a stream's buffer; it would fail again when Python ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
    stream.flush()
