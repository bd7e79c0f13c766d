"""The description of the HTTP interface at `/docs`, without any other site."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import Page, expect

from pleura.apps.serve.service import Service


def test_docs_are_drawn_without_other_sites(page: Page) -> None:
    """A request to another site, and a breach of the policy, fail the fixture."""
    page.get_by_role("link", name="HTTP interface").click()
    expect(page.locator("#docs .info .title")).to_contain_text("Pleura")
    paths = page.locator(".opblock-summary-path")
    expect(paths.filter(has_text="/v1/segmentations")).to_be_visible()
    expect(paths).to_have_count(8)
    paths.filter(has_text="/v1/model").click()
    expect(page.locator(".opblock-body")).to_contain_text("needs_key")


def test_docs_work_behind_a_path_prefix(
    open_page: Callable[..., AbstractContextManager[Page]],
    running: Callable[[Service], AbstractContextManager[str]],
    engine: Any,
) -> None:
    with (
        running(Service(engine, root_path="/pleura")) as address,
        open_page(f"{address}/pleura/", "docs-prefix") as page,
    ):
        page.get_by_role("link", name="HTTP interface").click()
        expect(page.locator(".opblock-summary-path")).to_have_count(8)
