"""Workers that end or fail at films of certain names; worker processes import this module."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from pleura.apps.segment.work import Ended
from pleura.apps.segment.workers.worker import NodeView, Ready, Worker
from pleura.core.errors import PleuraError
from pleura.io.files.atomic import atomic_write
from pleura.io.run.find import FilmFile


class Fragile(Worker):
    """A worker that ends at some films: `killer` always, `fragile` unless it is suspected.

    At `defect` it raises an error that is no error of a film.
    """

    def do(self, films: Sequence[FilmFile], suspects: frozenset[str]) -> list[Ended] | PleuraError:
        for film in films:
            name = film.path.stem
            if name == "killer" or (name == "fragile" and not suspects):
                with atomic_write(self._work.place.out / f"{film.name}_mask.png"):
                    os.kill(os.getpid(), signal.SIGKILL)
            if name == "defect":
                raise ZeroDivisionError("a defect")
            time.sleep(0.05)
        return super().do(films, suspects)


class Startless(Worker):
    """A worker that ends while it begins."""

    def begin(self, seen: NodeView) -> Ready | PleuraError:
        sys.stderr.write("no memory for the network")
        sys.stderr.flush()
        os._exit(1)
