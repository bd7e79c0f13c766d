"""Whom the service answers: names that are its own, and pages that are its own."""

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

from pleura.apps.serve.hosts import Hosts, names
from pleura.apps.serve.problems import ForeignOrigin, UnknownHost
from pleura.core.errors import UsageError

WHERE = "/v1/segmentations"


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
def test_the_names_are_the_address_and_those_of_this_machine(
    bound: str, host: str, is_ours: bool
) -> None:
    refusal = Hosts(bound).refusal("GET", {"host": host})
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
    hosts = Hosts(allowed=names([allowed]))
    assert (hosts.refusal("GET", {"host": host}) is None) is is_ours


@pytest.mark.parametrize("name", ["http://films.example", "films.example:8017", "a/b", "", "a b"])
def test_a_name_that_is_none_is_said(run: Callable[..., Any], name: str) -> None:
    with pytest.raises(UsageError, match="without http:// and port"):
        Hosts(allowed=names([name]))
    ended = run("serve", "--allow-host", name, "--port", 0)
    assert (ended.code, "is no name of a host" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("method", "headers", "may"),
    [
        ("POST", {}, True),  # a program
        ("POST", {"origin": "http://localhost:8017"}, True),
        ("POST", {"origin": "http://localhost:8017", "sec-fetch-site": "same-origin"}, True),
        ("POST", {"origin": "https://films.example"}, True),  # allowed by name, behind a proxy
        ("POST", {"origin": "https://films.example", "sec-fetch-site": "cross-site"}, True),
        ("POST", {"origin": "http://localhost:9000"}, False),
        ("POST", {"origin": "http://127.0.0.1:8017"}, False),  # not the one that Host names
        ("POST", {"origin": "https://localhost:8017.evil.example"}, False),
        ("POST", {"origin": "https://evil.example"}, False),
        ("POST", {"origin": "null"}, False),
        ("POST", {"origin": ""}, False),
        ("POST", {"origin": "file://"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, False),
        ("POST", {"sec-fetch-site": "same-site"}, False),
        ("POST", {"sec-fetch-site": "none"}, True),
        ("GET", {"sec-fetch-site": "cross-site"}, True),  # a link that leads here
        ("GET", {"origin": "https://evil.example"}, False),
    ],
)
def test_pages_of_other_sites_may_not_ask(method: str, headers: dict[str, str], may: bool) -> None:
    hosts = Hosts(allowed=("films.example",))
    refusal = hosts.refusal(method, {"host": "localhost:8017", **headers})
    assert isinstance(refusal, ForeignOrigin) is not may


def test_any_name_lets_no_page_of_any_name_ask() -> None:
    hosts = Hosts(allowed=("*",))
    asking = {"host": "localhost:8017", "origin": "https://evil.example"}
    assert isinstance(hosts.refusal("POST", asking), ForeignOrigin)
    own = {"host": "films.example", "origin": "https://films.example"}
    assert hosts.refusal("POST", own) is None


@pytest.mark.parametrize("where", ["/", "/page/app.js", "/healthz", "/v1/model", "/nowhere"])
def test_another_name_is_421_everywhere(client: httpx.Client, where: str) -> None:
    told = client.get(where, headers={"Host": "evil.example"})
    assert told.status_code == 421
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["type"] == "urn:pleura:problem:unknown-host"
    assert "--allow-host" in told.json()["detail"]
    assert "default-src 'none'" in told.headers["content-security-policy"]


def test_another_origin_is_403_and_nothing_is_worked_on(client: httpx.Client, films: Path) -> None:
    body = (films / "a.png").read_bytes()
    for method in ("POST", "GET", "OPTIONS"):
        told = client.request(method, WHERE, content=body, headers={"Origin": "http://e.example"})
        assert told.status_code == 403
        assert told.json()["type"] == "urn:pleura:problem:foreign-origin"
        assert "a page of http://e.example may not use this service" in told.json()["detail"]
        assert "access-control-allow-origin" not in told.headers
    assert client.post(WHERE, content=body).status_code == 200


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


ATTACK = """<!doctype html><title>elsewhere</title>
<form id="plain" method="post" enctype="text/plain" target="there"
 action="ADDRESS/v1/segmentations"><input name="a" value="b"></form>
<form id="parts" method="post" enctype="multipart/form-data" target="there"
 action="ADDRESS/v1/segmentations"><input type="file" name="film"></form>
<iframe name="there"></iframe>"""

POST = """async (address) => {
  const asked = { method: "POST", body: "film", mode: "MODE" };
  try {
    return (await fetch(`${address}/v1/segmentations`, asked)).type;
  } catch (error) { return "failed"; }
}"""


@pytest.fixture
def elsewhere(tmp_path: Path, address: str) -> Iterator[str]:
    """The address of a page of another site."""
    (tmp_path / "index.html").write_text(ATTACK.replace("ADDRESS", address.rstrip("/")))

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


def test_a_page_of_another_site_gets_nothing_done(
    browser: Browser, elsewhere: str, address: str, films: Path
) -> None:
    """By forms, which need nobody's leave, and by scripts."""

    def count(what: str) -> float:
        text = httpx.get(f"{address}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(what)]
        return sum(float(line.split()[-1]) for line in lines)

    def refused() -> float:
        return count('pleura_requests_total{method="POST",status="403"}')

    worked_on, before = count("pleura_films_total"), refused()
    sheet = browser.new_page()
    sheet.goto(elsewhere)
    sheet.evaluate("() => document.getElementById('plain').submit()")
    wait_until(lambda: refused() == before + 1)
    sheet.set_input_files('input[type="file"]', films / "a.png")
    sheet.evaluate("() => document.getElementById('parts').submit()")
    wait_until(lambda: refused() == before + 2)
    for mode in ("no-cors", "cors"):
        told = sheet.evaluate(POST.replace("MODE", mode), address.rstrip("/"))
        assert told == "failed"  # the page does not even hear that it was refused
    wait_until(lambda: refused() == before + 4)
    sheet.close()
    assert count("pleura_films_total") == worked_on
