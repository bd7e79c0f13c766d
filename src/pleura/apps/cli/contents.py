"""The table of commands, and the first page of help.

`pleura --help` is printed from here alone in 0.04 s; importing typer takes 0.2 s.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "INTRO", "LEARN", "OPTIONS", "USE", "page"]

INTRO = """Finds the lungs in frontal chest radiographs, on a plain CPU.

pleura segment films/ -o lungs   masks and a table, for a folder of films
pleura serve                     the same in the browser, and over HTTP
pleura node                      the same for a PACS, over DICOM
pleura phantom -o film.png       a synthetic film to try it on
pleura doctor                    check the installation

Exit codes: 0 done, 1 unexpected, 2 wrong usage, 3 some films failed and
the rest is written, 4 with --strict some are to review, 5 weights missing
or altered, 130 interrupted, 141 the reader of stdout closed it."""

OPTIONS = {
    "--version": "Show the version and exit.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy it or customize the "
    "installation.",
    "--help, -h": "Show this message and exit.",
}

USE, LEARN = "Use", "Learn (pip install pleura[train])"

COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "segment": (
        USE,
        "pleura.apps.segment.command",
        "segment",
        "Find the lungs in films: a mask for each, and a table of measurements.",
    ),
    "results": (
        USE,
        "pleura.apps.segment.tables.command",
        "results_app",
        "Put the tables of shards together, write a table as Parquet, name the worst films.",
    ),
    "serve": (
        USE,
        "pleura.apps.serve.command",
        "serve",
        "Serve the page and the HTTP interface until Ctrl-C.",
    ),
    "dicomweb": (
        USE,
        "pleura.apps.pacs.dicomweb.command",
        "dicomweb",
        "Pull films from a DICOMweb service, segment them, push the results back.",
    ),
    "phantom": (
        USE,
        "pleura.apps.phantom",
        "phantom",
        "Draw a synthetic chest film of any size, with known lungs.",
    ),
    "info": (
        USE,
        "pleura.apps.info",
        "info",
        "Show the versions, weights and devices of this installation.",
    ),
    "doctor": (
        USE,
        "pleura.apps.doctor",
        "doctor",
        "Check each part of the installation, and advise on missing parts.",
    ),
    "node": (
        USE,
        "pleura.apps.pacs.node.command",
        "node_app",
        "Run a DICOM node: receive films, send their lungs as SEG, SR and SC.",
    ),
    "train": (LEARN, "pleura.apps.learn.train", "train", "Train a network by a recipe."),
    "finetune": (
        LEARN,
        "pleura.apps.learn.finetune",
        "finetune",
        "Train the shipped weights further on your films.",
    ),
    "ablate": (
        LEARN,
        "pleura.apps.learn.train",
        "ablate",
        "Train every arm of a study with each seed, and compare them on the same test films.",
    ),
    "runs": (LEARN, "pleura.apps.learn.runs", "runs_app", "Compare training runs."),
    "evaluate": (
        LEARN,
        "pleura.apps.learn.evaluate",
        "evaluate",
        "Score the whole path, as shipped, on films whose masks are known.",
    ),
    "robustness": (
        LEARN,
        "pleura.apps.learn.robustness",
        "robustness",
        "Score films as they are, and mirrored, inverted, turned, stretched, pale, small and "
        "large.",
    ),
    "calibrate": (
        LEARN,
        "pleura.apps.learn.calibrate",
        "calibrate",
        "Tune the probabilities and verdicts on some films, and score them on others.",
    ),
    "bench": (
        LEARN,
        "pleura.apps.learn.bench",
        "bench",
        "Score every split of every set under a folder, into a folder of results.",
    ),
    "card": (
        LEARN,
        "pleura.apps.learn.bench",
        "card",
        "Write the model card, in Markdown, from results.",
    ),
    "export": (
        LEARN,
        "pleura.apps.learn.train",
        "export",
        "Export a checkpoint as NAME.onnx, for segmenting and for further training.",
    ),
    "quantise": (
        LEARN,
        "pleura.apps.learn.quantise",
        "quantise",
        "Make int8 weights: a quarter of the size, and faster on most CPUs.",
    ),
    "data": (
        LEARN,
        "pleura.apps.learn.data.command",
        "data_app",
        "Fetch public films, check a set, look at it, split it, propose a recipe.",
    ),
}
"""By name, in the order of help: panel, module, name in the module, summary."""

WIDTH = 80
"""Columns of the first page."""


def page() -> str:
    """The first page of help, plain text."""
    panels = {"Options": OPTIONS}
    for name, (panel, _, _, summary) in COMMANDS.items():
        panels.setdefault(panel, {})[name] = summary
    lines = ["Usage: pleura [OPTIONS] COMMAND [ARGS]...", "", *INTRO.splitlines()]
    for panel, entries in panels.items():
        lines += ["", f"{panel}:"]
        indent = max(map(len, entries)) + 4
        for name, summary in entries.items():
            first, *rest = _folded(summary, WIDTH - indent)
            lines += [f"  {name}".ljust(indent) + first, *(" " * indent + line for line in rest)]
    return "\n".join([*lines, "", "pleura COMMAND --help shows the options of a command."])


def _folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`; by hand, for textwrap loads the regular expressions."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines
