"""Contact sheets, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pleura.core.errors import DataError
from pleura.lab.data.contact_sheet import (
    COLOURS,
    FLAG,
    Tile,
    choose,
    contact_sheet,
    film_tiles,
    resize_mask,
    resize_to,
)
from pleura.lab.data.film import Film, MaskPart


def colour(name: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(name[1:]))


def tile(*, flagged: bool = False) -> Tile:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:20, 10:30] = True
    return Tile(np.full((40, 40), 90, np.uint8), {"field": mask}, "a film", flagged)


def test_tiles_lie_in_rows_with_their_outlines() -> None:
    sheet = np.asarray(contact_sheet([tile(), tile(flagged=True), tile()], columns=2, side=40))
    assert sheet.shape == (2 * (40 + 14), 2 * 40, 3)
    green = (sheet == colour(COLOURS["field"])).all(axis=2)
    # A rim one pixel wide around 10 x 20: 2 * 20 + 2 * 8 pixels.
    assert green[:40, :40].sum() == 56
    assert green[10, 10:30].all()
    assert not green[11, 11]
    assert tuple(sheet[15, 20]) == (90, 90, 90)
    red = (sheet == colour(FLAG)).all(axis=2)
    assert red[0, 40:80].all()
    assert not red[:40, :40].any()
    assert not sheet[54:, 40:].any()  # no fourth tile


def test_a_sheet_needs_a_film() -> None:
    with pytest.raises(DataError, match="no film to draw"):
        contact_sheet([])


def test_a_long_name_keeps_its_end() -> None:
    long, short = (
        contact_sheet([Tile(tile().grey, {}, caption)], side=40) for caption in ("x" * 99, "x")
    )
    assert long.size == short.size == (40, 54)
    assert np.asarray(long)[40:].sum() > np.asarray(short)[40:].sum()


def test_resizing_keeps_the_aspect_and_the_share() -> None:
    assert resize_to(np.zeros((400, 200), np.uint8), 100).shape == (100, 50)
    mask = np.zeros((400, 200), np.bool_)
    mask[:200] = True
    assert resize_mask(mask, (100, 50)).mean() == 0.5


def film(number: int, source: str) -> Film:
    return Film(f"{source}{number}", source, Path("x.png"), (MaskPart(Path("m.png"), "field"),))


def test_flagged_films_come_first_and_take_half_of_the_places() -> None:
    films = [film(number, source) for source in "ab" for number in range(10)]
    flagged = {tile.id for tile in films[:8]}
    chosen = choose(films, 8, first=flagged)
    assert len(chosen) == 8
    assert [tile.id in flagged for tile in chosen] == [True] * 4 + [False] * 4
    assert {tile.source for tile in chosen[4:]} == {"a", "b"}
    assert choose(films, 100, first=flagged)[:8] == films[:8]
    assert len(choose(films, 100)) == 20


def test_an_unreadable_film_has_a_tile(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    ramp = np.tile(np.arange(80, dtype=np.uint8), (120, 1))
    Image.fromarray(ramp).save(good)
    bad.write_bytes(b"no picture")
    seen: list[None] = []
    drawn = list(
        film_tiles(
            [
                Film("a", "x", good, (MaskPart(bad, "field"),), "test"),
                Film("b", "x", bad, (MaskPart(good, "field"),)),
            ],
            side=60,
            flagged={"b"},
            on_film=lambda: seen.append(None),
        )
    )
    assert [tile.caption for tile in drawn] == ["mask? a test", "b"]
    assert [tile.flagged for tile in drawn] == [False, True]
    assert drawn[0].grey.shape == (60, 40)
    assert not drawn[1].grey.any()
    assert drawn[1].masks["field"].any()
    assert len(seen) == 2
