"""The host names that the service answers to, and the sites whose pages may use it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from pleura.apps.serve.errors import ForeignOrigin, UnknownHost
from pleura.apps.serve.security.hosts import AllowedHosts, host_names
from pleura.apps.serve.service import Service
from pleura.core.errors import UsageError

ROUTE = "/v1/segmentations"


@pytest.mark.parametrize(
    ("bound", "host", "is_ours"),
    [
        ("127.0.0.1", "127.0.0.1:8017", True),
        ("127.0.0.1", "localhost:8017", True),
        ("127.0.0.1", "LocalHost", True),
        ("127.0.0.1", "localhost.", True),
        ("127.0.0.1", "[::1]:8017", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "evil.example:8017", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.1.4", False),
        ("127.0.0.1", "0.0.0.0:8017", False),
        ("127.0.0.1", "user@localhost", False),
        ("127.0.0.1", "localhost/..", False),
        ("127.0.0.1", "localhost:80:80", False),
        ("127.0.0.1", "", False),
        ("192.168.1.4", "192.168.1.4:8017", True),
        ("192.168.1.4", "192.168.1.5", False),
        ("pacs.example", "PACS.example:8017", True),
        ("0.0.0.0", "192.168.1.4:8017", True),
        ("::", "[fe80::1]:8017", True),
        ("0.0.0.0", "evil.example", False),
    ],
)
def test_the_service_has_the_names_of_its_address_and_of_loopback(
    bound: str, host: str, is_ours: bool
) -> None:
    refusal = AllowedHosts(bound).refusal("GET", {"host": host})
    assert isinstance(refusal, UnknownHost) is not is_ours


@pytest.mark.parametrize(
    ("allowed", "host", "is_ours"),
    [
        ("films.example", "films.example", True),
        ("Films.Example.", "films.example:443", True),
        ("films.example", "a.films.example", False),
        ("*.films.example", "a.films.example", True),
        ("*.films.example", "films.example", False),
        ("*.films.example", "evilfilms.example", False),
        ("*", "evil.example", True),
        ("10.0.0.7", "10.0.0.7:8017", True),
        ("fe80::1", "[fe80::1]:8017", True),
    ],
)
def test_more_names_can_be_allowed(allowed: str, host: str, is_ours: bool) -> None:
    hosts = AllowedHosts(allowed=host_names([allowed]))
    assert (hosts.refusal("GET", {"host": host}) is None) is is_ours


@pytest.mark.parametrize("name", ["http://films.example", "films.example:8017", "a/b", "", "a b"])
def test_an_invalid_name_is_refused(run: Callable[..., Any], name: str) -> None:
    with pytest.raises(UsageError, match="without http:// and port"):
        AllowedHosts(allowed=host_names([name]))
    ended = run("serve", "--allow-host", name, "--port", 0)
    assert (ended.code, "is no name of a host" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("method", "headers", "is_allowed"),
    [
        ("POST", {}, True),  # a program
        ("POST", {"origin": "http://localhost:8017"}, True),
        ("POST", {"origin": "http://localhost:8017", "sec-fetch-site": "same-origin"}, True),
        ("POST", {"origin": "https://films.example"}, True),  # allowed by name, as behind a proxy
        ("POST", {"origin": "https://films.example", "sec-fetch-site": "cross-site"}, True),
        ("POST", {"origin": "http://localhost:9000"}, False),
        ("POST", {"origin": "http://127.0.0.1:8017"}, False),  # not the name in `Host`
        ("POST", {"origin": "https://localhost:8017.evil.example"}, False),
        ("POST", {"origin": "https://evil.example"}, False),
        ("POST", {"origin": "null"}, False),
        ("POST", {"origin": ""}, False),
        ("POST", {"origin": "file://"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, False),
        ("POST", {"sec-fetch-site": "same-site"}, False),
        ("POST", {"sec-fetch-site": "none"}, True),
        ("GET", {"sec-fetch-site": "cross-site"}, True),  # a link to the page
        ("GET", {"origin": "https://evil.example"}, False),
    ],
)
def test_pages_of_other_sites_are_refused(
    method: str, headers: dict[str, str], is_allowed: bool
) -> None:
    hosts = AllowedHosts(allowed=("films.example",))
    refusal = hosts.refusal(method, {"host": "localhost:8017", **headers})
    assert isinstance(refusal, ForeignOrigin) is not is_allowed


def test_allowing_any_name_allows_no_other_page() -> None:
    hosts = AllowedHosts(allowed=("*",))
    foreign = {"host": "localhost:8017", "origin": "https://evil.example"}
    assert isinstance(hosts.refusal("POST", foreign), ForeignOrigin)
    own = {"host": "films.example", "origin": "https://films.example"}
    assert hosts.refusal("POST", own) is None


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/healthz", "/v1/model", "/nowhere"])
def test_another_host_name_is_421_on_every_route(client: httpx.Client, path: str) -> None:
    response = client.get(path, headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:pleura:problem:unknown-host"
    assert "--allow-host" in response.json()["detail"]
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_another_origin_is_403(client: httpx.Client, films: Path) -> None:
    body = (films / "a.png").read_bytes()
    for method in ("POST", "GET", "OPTIONS"):
        response = client.request(
            method, ROUTE, content=body, headers={"Origin": "http://e.example"}
        )
        assert response.status_code == 403
        assert response.json()["type"] == "urn:pleura:problem:foreign-origin"
        detail = response.json()["detail"]
        assert "a web page from http://e.example may not send requests to this service" in detail
        assert "access-control-allow-origin" not in response.headers
    assert client.post(ROUTE, content=body).status_code == 200


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


FOREIGN_PAGE = """<!doctype html><title>foreign_page</title>
<form id="plain" method="post" enctype="text/plain" target="there"
 action="ADDRESS/v1/segmentations"><input name="a" value="b"></form>
<form id="parts" method="post" enctype="multipart/form-data" target="there"
 action="ADDRESS/v1/segmentations"><input type="file" name="film"></form>
<iframe name="there"></iframe>"""

FETCH = """async (address) => {
  const request = { method: "POST", body: "film", mode: "MODE" };
  try {
    return (await fetch(`${address}/v1/segmentations`, request)).type;
  } catch (error) { return "failed"; }
}"""


@pytest.fixture
def foreign_page(tmp_path: Path, address: str) -> Iterator[str]:
    """The URL of a page of another site."""
    (tmp_path / "index.html").write_text(FOREIGN_PAGE.replace("ADDRESS", address.rstrip("/")))

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    serving = functools.partial(Silent, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_no_page_of_another_site_can_use_the_service(
    browser: Browser, foreign_page: str, address: str, films: Path
) -> None:
    """Neither with forms, which browsers send without permission, nor with scripts."""

    def count(prefix: str) -> float:
        text = httpx.get(f"{address}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(prefix)]
        return sum(float(line.split()[-1]) for line in lines)

    def refused_posts() -> float:
        return count('pleura_requests_total{method="POST",route="none",status="403"}')

    segmented, before = count("pleura_films_total"), refused_posts()
    page = browser.new_page()
    page.goto(foreign_page)
    page.evaluate("() => document.getElementById('plain').submit()")
    wait_until(lambda: refused_posts() == before + 1)
    page.set_input_files('input[type="file"]', films / "a.png")
    page.evaluate("() => document.getElementById('parts').submit()")
    wait_until(lambda: refused_posts() == before + 2)
    for mode in ("no-cors", "cors"):
        response = page.evaluate(FETCH.replace("MODE", mode), address.rstrip("/"))
        assert response == "failed"  # the page does not learn that it was refused
    wait_until(lambda: refused_posts() == before + 4)
    page.close()
    assert count("pleura_films_total") == segmented


VIEWER = "https://viewer.example"


@pytest.fixture
def shared(running: Callable[..., Any], engine: Any) -> Iterator[httpx.Client]:
    """A client of a service that pages of `VIEWER` may use."""
    service = Service(engine, key="secret", hosts=AllowedHosts(origins=(VIEWER,)))
    with running(service) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_pages_of_an_allowed_site_may_use_the_service(shared: httpx.Client, films: Path) -> None:
    """As a browser asks: first whether it may send the key, then with it."""
    asked = shared.options(
        ROUTE,
        headers={
            "Origin": VIEWER,
            "Sec-Fetch-Site": "cross-site",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == VIEWER
    assert "POST" in asked.headers["access-control-allow-methods"]
    headers = {"Origin": VIEWER, "Sec-Fetch-Site": "cross-site", "Authorization": "Bearer secret"}
    answer = shared.post(ROUTE, content=(films / "a.png").read_bytes(), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == VIEWER
    assert "Pleura-Verdict" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://viewer.example", "null"])
def test_pages_of_other_sites_may_not(shared: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        shared.options(ROUTE, headers=headers),
        shared.post(ROUTE, content=b"", headers={**headers, "X-API-Key": "secret"}),
    ):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_no_site_is_allowed_by_default(client: httpx.Client) -> None:
    headers = {"Origin": VIEWER, "Access-Control-Request-Method": "POST"}
    assert client.options(ROUTE, headers=headers).status_code == 403
    assert "access-control-allow-origin" not in client.get("/healthz").headers


@pytest.mark.parametrize("origin", ["*", "viewer.example", "https://a.example/path", "null", ""])
def test_an_invalid_site_is_refused(run: Callable[..., Any], origin: str) -> None:
    ended = run("serve", "--allow-origin", origin, "--port", 0)
    assert (ended.code, "is no origin of a web site" in ended.err) == (2, True)
