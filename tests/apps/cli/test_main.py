from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

import pleura
from pleura.apps import info
from pleura.apps.cli.commands import app
from pleura.apps.cli.contents import COMMANDS, OPTIONS

HEAVY = {"torch", "lightning", "monai", "onnxruntime", "openvino", "matplotlib", "scipy", "pydicom"}
HEAVY |= {"fastapi", "uvicorn", "starlette", "prometheus_client"}


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def commands() -> list[tuple[str, ...]]:
    top = get_command(app)
    names: list[tuple[str, ...]] = []
    for name in top.commands:  # type: ignore[attr-defined]
        command = top.get_command(None, name)  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        names += [(name, subcommand) for subcommand in below] or [(name,)]
    return names


def test_help_of_every_command_loads_no_heavy_library() -> None:
    code = (
        "import sys; from pleura.apps.cli.main import main\n"
        "for line in sys.argv[1:]: assert main([*line.split(), '--help']) == 0\n"
        "print('HEAVY', sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = python(code, "", *(" ".join(command) for command in commands()))
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.rpartition("HEAVY ")[2]
    assert [name for name in HEAVY if f"'{name}'" in loaded] == []


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_has_an_example(run: Callable[..., object], command: tuple[str, ...]) -> None:
    ended = run(*command, "--help")
    examples = [line for line in ended.out.splitlines() if line.startswith(" pleura ")]
    assert examples, ended.out
    assert all(example.split()[1] in {name[0] for name in commands()} for example in examples)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_paragraphs_of_help_fit_into_80_columns(command: tuple[str, ...]) -> None:
    """Typer keeps the line ends of a docstring; a longer line leaves a short one behind it."""
    found = get_command(app)
    for name in command:
        found = found.get_command(None, name)  # type: ignore[attr-defined]
    assert found.help
    for paragraph in inspect.cleandoc(found.help).split("\n\n"):
        lines = paragraph.splitlines()
        if len(lines) > 1:
            long = [line for line in lines if len(line) > 78 and not line.startswith("pleura ")]
            assert long == []


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("--help", "--version")])
def test_the_first_page_names_every_command(
    run: Callable[..., object], arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments)
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines() if line.startswith("  ")]
    assert [words[0] for words in lines if words[0] in COMMANDS] == list(COMMANDS)
    assert max(map(len, ended.out.splitlines())) <= 80


def test_without_a_command_the_first_page_is_wrong_usage(run: Callable[..., object]) -> None:
    ended = run()
    assert (ended.code, ended.out) == (2, run("--help").out)


def test_the_contents_are_those_of_the_commands() -> None:
    top = get_command(app)
    for name, (panel, _, _, says) in COMMANDS.items():
        command = top.get_command(None, name)  # type: ignore[attr-defined]
        summary = " ".join(command.help.split("\n\n")[0].split())
        assert (name, command.rich_help_panel, summary) == (name, panel, says)
    options = {option for key in OPTIONS for option in key.split(", ")}
    assert {option for param in top.params for option in param.opts} | {"--help", "-h"} == options


def test_the_first_page_loads_neither_typer_nor_a_command() -> None:
    code = (
        "import sys; from pleura.apps.cli.main import main\n"
        "assert main(['--help']) == main(['--version']) == 0\n"
        "ours = [m for m in sys.modules if m.split('.')[0] in ('typer', 'rich', 'pleura')]\n"
        "print('LOADED', sorted(ours))"
    )
    done = python(code)
    assert done.stdout.rpartition("LOADED ")[2].strip() == str(
        [
            "pleura",
            "pleura._version",
            "pleura.apps",
            "pleura.apps.cli",
            "pleura.apps.cli.contents",
            "pleura.apps.cli.main",
        ]
    )


def test_a_command_loads_no_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pleura.apps.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print('LOADED', [m for m in sys.modules if m.startswith(('rich', 'pleura.apps.'))])"
    )
    done = python(code, "phantom", "-o", str(tmp_path / "film.png"))
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.rpartition("LOADED ")[2]
    assert [name for name in ("segment", "doctor", "rich") if f"{name}'" in loaded] == []


def test_a_shell_completes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PLEURA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pleura ser")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = subprocess.run(
        [sys.executable, "-m", "pleura"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["serve"]


def test_version(run: Callable[..., object]) -> None:
    ended = run("--version")
    assert (ended.code, ended.out) == (0, f"pleura {pleura.__version__}\n")


def test_python_m_pleura_is_pleura() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pleura", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"pleura {pleura.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [("sagment",), ("segment",), ("segment", "a.png"), ("segment", "--nonsense"), ("export",)],
)
def test_wrong_usage_is_2_and_says_so_on_stderr(
    run: Callable[..., object], arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Error" in ended.err


def test_a_defect_is_1_with_a_traceback(
    run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(info, "installation_details", lambda: 1 / 0)
    ended = run("info")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert "please report it" in ended.err


def test_ctrl_c_anywhere_is_130(
    run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "installation_details", interrupted)
    ended = run("info")
    assert (ended.code, ended.err) == (130, "pleura: interrupted\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "recipe.toml", "--data", "films", "--out", "run"),
        ("export", "best.ckpt", "-o", "weights"),
    ],
)
def test_without_torch_the_learn_side_says_what_to_install(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pleura.apps.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = python(code, *arguments)
    assert done.returncode == 2
    assert 'pip install "pleura[train]"' in done.stderr
    assert "Traceback" not in done.stderr
