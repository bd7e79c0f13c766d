"""The docs are true: their code runs, their links lead somewhere, their tables match the code.

Every ```bash and ```python block of README.md, CONTRIBUTING.md and docs/ is run, in the page's
order, in a folder of the page's own that holds

    film.png, films/            synthetic films, by pleura.phantom.film
    my-data/images, my-data/masks   a small data set of synthetic films with their masks
    recipes/                    the project's recipes, each made tiny

An HTML comment before a block changes that: `<!-- not run: reason -->` leaves it out, and
`<!-- file: NAME -->` writes a toml block to NAME, made tiny too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = (
    CHECKOUT / "README.md",
    CHECKOUT / "CONTRIBUTING.md",
    *sorted((CHECKOUT / "docs").rglob("*.md")),
)
RUN = ("bash", "python")
SILENT = ("text", "toml", "console", "json", "csv", "")
"""Kinds of block that are read, not run; a bare one too."""

FENCE = re.compile(
    r"^(?:<!--\s*(?P<mark>[^\n]*?)\s*-->\n+)?```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S
)
TINY = {"side": 32, "epochs": 1, "batch": 2}
TINY_WIDTHS = [4, 8, 16]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    code: str
    mark: str
    line: int

    @property
    def is_run(self) -> bool:
        return self.kind in RUN and not self.mark.startswith("not run:")

    @property
    def file(self) -> str | None:
        """Where a toml block is to be written."""
        return self.mark.partition("file:")[2].strip() or None


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(match["kind"], match["code"], match["mark"] or "", line)


def page_id(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every page finds in its folder."""
    from PIL import Image

    from pleura.phantom.film import draw

    folder = tmp_path_factory.mktemp("desk")
    for name in ("films/ward-a", "films/ward-b", "my-data/images", "my-data/masks", "recipes"):
        (folder / name).mkdir(parents=True)
    for seed in range(12):
        drawn = draw(96, 84, seed=seed)
        grey = drawn.radiograph.pixels
        image = Image.fromarray(
            (255 * (grey - grey.min()) / (grey.max() - grey.min())).astype("u1")
        )
        image.save(folder / f"my-data/images/film{seed:02}.png")
        lungs = (drawn.right | drawn.left).astype("u1") * 255
        Image.fromarray(lungs).save(folder / f"my-data/masks/film{seed:02}.png")
    pictures = folder / "my-data/images"
    shutil.copy(pictures / "film00.png", folder / "film.png")
    shutil.copy(pictures / "film01.png", folder / "films/ward-a/film.png")
    shutil.copy(pictures / "film02.png", folder / "films/ward-b/film.png")
    for recipe in (CHECKOUT / "recipes").glob("*.toml"):
        write_tiny(recipe.read_text(), folder / "recipes" / recipe.name)
    return folder


def write_tiny(recipe: str, path: Path) -> None:
    """The same recipe, of a size that trains in a second."""
    table = tomllib.loads(recipe)
    network = {**table.pop("network", {}), "widths": TINY_WIDTHS, "encoder": "plain"}
    augment = table.pop("augment", {})
    tables = {"": {**table, **TINY}, "network": network, "augment": augment}
    lines: list[str] = []
    for name, values in tables.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a reader would, `pleura` and `python` being those of this environment."""
    shell = ["bash", "-euo", "pipefail", "-c", block.code]
    command = shell if block.kind == "bash" else [sys.executable, "-c", block.code]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {**os.environ, "PATH": path, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=quiet, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.is_run for b in blocks(p))], ids=page_id
)
def test_the_code_of_a_page_runs(page: Path, desk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(desk, folder)
    for block in blocks(page):
        if block.file:
            write_tiny(block.code, folder / block.file)
        elif block.is_run:
            done = run(block, folder)
            transcript = f"{page_id(page)}:{block.line}\n{block.code}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == 0, transcript


@pytest.mark.parametrize("page", PAGES, ids=page_id)
class TestEveryPage:
    def test_blocks_are_of_a_known_kind(self, page: Path) -> None:
        assert {block.kind for block in blocks(page)} <= {*RUN, *SILENT}

    def test_every_code_block_is_found(self, page: Path) -> None:
        fences = re.findall(r"^\s*```", page.read_text(), re.M)
        assert len(fences) == 2 * len(list(blocks(page)))

    def test_a_block_that_is_not_run_has_a_reason(self, page: Path) -> None:
        left_out = [b for b in blocks(page) if b.kind in RUN and not b.is_run]
        assert all(len(b.mark.removeprefix("not run:").split()) >= 3 for b in left_out)

    def test_recipes_are_valid(self, page: Path) -> None:
        from pleura.lab.train.recipe import parse_recipe

        for block in blocks(page):
            if block.kind == "toml":
                parse_recipe({"name": "page", **tomllib.loads(block.code)})

    def test_links_have_targets(self, page: Path) -> None:
        links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == []

    def test_it_begins_with_its_title(self, page: Path) -> None:
        lines = [line for line in page.read_text().splitlines() if not line.startswith("<!--")]
        assert next(line for line in lines if line).startswith("# ")

    def test_links_lead_to_headings(self, page: Path) -> None:
        links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)", page.read_text())
        for target, anchor in links:
            other = page.parent / target if target else page
            assert other.suffix != ".md" or anchor in anchors(other), f"{target}#{anchor}"

    def test_every_command_it_names_exists(self, page: Path) -> None:
        known = commands()
        named = re.findall(r"`pleura ([a-z]+)(?: ([a-z]+)\b)?", page.read_text())
        for first, second in named:
            assert first in known, f"pleura {first}"
            assert not (known[first] and second) or second in known[first], f"{first} {second}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def commands() -> dict[str, set[str]]:
    """Command -> its sub-commands, as the command line has them."""
    from typer.main import get_command

    from pleura.apps.cli.commands import app

    top: Any = get_command(app)
    loaded = {name: top.get_command(None, name) for name in top.commands}
    return {name: set(getattr(command, "commands", ())) for name, command in loaded.items()}


@pytest.mark.parametrize("page", ["cli.md", "recipe.md", "conformance.md"])
def test_generated_pages_are_fresh(page: str) -> None:
    source = CHECKOUT / "docs" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", source)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = made.PAGES[page]()
    assert (CHECKOUT / "docs/reference" / page).read_text() == text, "run `make reference`"


def test_all_exit_codes_are_documented() -> None:
    from pleura.apps.cli.exit_codes import Exit

    codes = re.findall(
        r"^\| `(\d+)` \|", (CHECKOUT / "docs/reference/exit-codes.md").read_text(), re.M
    )
    assert {int(code) for code in codes} == {int(code) for code in Exit} | {4}


def test_all_layouts_are_documented() -> None:
    from pleura.lab.data.layouts import LAYOUTS

    headings = re.findall(
        r"^## `([\w-]+)`", (CHECKOUT / "docs/reference/layouts.md").read_text(), re.M
    )
    assert sorted(headings) == sorted(layout.name for layout in LAYOUTS)


def test_the_map_of_the_code_names_what_exists() -> None:
    page = (CHECKOUT / "docs/explanation/architecture.md").read_text()
    table = page.partition("## Where things are")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [A-Z].*\| (.*) \| (.*) \|$", table, re.M)
    assert len(rows) > 20
    for paths, names in rows:
        modules = [CHECKOUT / "src/pleura" / path for path in re.findall(r"`(.+?)`", paths)]
        code = "\n".join(module.read_text() for module in modules)
        for name in re.findall(r"`(.+?)`", names):
            definition = rf"^( *(async )?(def|class) {name}\b|{name}\b.*=)"
            assert re.search(definition, code, re.M), f"no {name} in {paths}"


def test_all_outputs_are_documented() -> None:
    from dataclasses import fields

    from pleura.io.outputs import FORMATS
    from pleura.io.run.report import Run
    from pleura.io.run.row import COLUMNS

    page = (CHECKOUT / "docs/reference/outputs.md").read_text()
    files, rows, run = re.split(r"^## `(?:results.csv|run.json)`$", page, flags=re.M)
    for name, format_ in FORMATS.items():
        endings = ", ".join(f"`{ending}`" for ending in format_.endings)
        assert f"| `{name}` | {endings} |" in files
    assert documented_keys(rows) == set(COLUMNS)
    assert documented_keys(run) == {option.name for option in fields(Run)}


def documented_keys(text: str) -> set[str]:
    """What the first column of a page's table names."""
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_all_public_names_are_documented() -> None:
    import pleura

    page = (CHECKOUT / "docs/reference/python.md").read_text()
    assert [name for name in pleura.__all__ if name not in page and name[0] != "_"] == []


def test_all_dependencies_are_documented() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = {"base": project["dependencies"], **project["optional-dependencies"]}
    page = (CHECKOUT / "docs/explanation/licences.md").read_text()
    extras = "|".join(wanted)
    listed = set(re.findall(rf"^\| ([\w-]+) \| [^|]+ \| ({extras}) \|$", page, re.M))
    assert listed == {
        (re.match(r"[\w.-]+", line)[0], extra)  # type: ignore[index]
        for extra, lines in wanted.items()
        for line in lines
    }


def test_the_changelog_begins_with_this_version() -> None:
    import pleura

    versions = re.findall(r"^## \[([^\]]+)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.M)
    assert next(version for version in versions if version != "Unreleased") == pleura.__version__


def test_a_code_block_that_fails_is_detected(tmp_path: Path) -> None:
    assert run(Block("bash", "false\ntrue", "", 1), tmp_path).returncode
    assert run(Block("python", "import nothing_of_that_name", "", 1), tmp_path).returncode
