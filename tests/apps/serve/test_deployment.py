"""The examples for systemd, nginx, Docker and Kubernetes, read by their programs and parsers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = CHECKOUT / "examples"
SERVE = EXAMPLES / "serve"
UNITS = [SERVE / "pleura.service", EXAMPLES / "systemd" / "pleura-node.service"]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def instructions() -> dict[str, list[str]]:
    """The instructions of the Dockerfile by their name."""
    text = (SERVE / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, list[str]] = {}
    for line in lines:
        name, rest = line.split(maxsplit=1)
        found.setdefault(name, []).append(rest)
    return found


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((SERVE / name).read_text()))


# ---- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    """With another program in place of the one in /opt, which is not there."""
    text = re.sub(r"/opt/pleura/bin/pleura(?= (serve|node))", "/bin/true", unit.read_text())
    assert "ExecStart=/bin/true " in text
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# ---- nginx


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def nginx_folder(folder: Path, port: int, service: str) -> list[str]:
    """Write a configuration of nginx that includes the example; returns the command.

    Its addresses, certificate and key are replaced, as who uses it does.
    """
    certificate, key = folder / "films.crt", folder / "films.key"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    paths = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [*request, *paths, "-subj", "/CN=films.example"], check=True, capture_output=True
    )
    example = (SERVE / "nginx.conf").read_text()
    for ours, theirs in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/films.example.crt": str(certificate),
        "/etc/ssl/films.example.key": str(key),
        "http://127.0.0.1:8017": service,
    }.items():
        assert example.count(ours) == 1, ours
        example = example.replace(ours, theirs)
    (folder / "example.conf").write_text(example)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temporary} include {folder}/example.conf; }}"
    )
    assert NGINX, "no nginx here: apt-get install nginx-light (`make test` does it)"
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "log")]


@pytest.fixture
def proxy(serve: Any, tmp_path: Path) -> Iterator[str]:
    """The example of nginx before a service with the options that it names."""
    (options,) = re.findall(r"pleura serve (.*)$", (SERVE / "nginx.conf").read_text(), re.M)
    port = free_port()
    command = nginx_folder(tmp_path, port, serve(*options.split()).address)
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    with subprocess.Popen(command) as process:
        try:
            wait_for(port)
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("nginx does not listen")


def test_the_rate_of_nginx_lets_the_page_load_within_a_second() -> None:
    page = CHECKOUT / "src/pleura/apps/serve/page"
    files = [path for path in page.rglob("*") if path.is_file()]
    (rate,) = re.findall(r"rate=(\d+)r/s", (SERVE / "nginx.conf").read_text())
    assert 40 < len(files) < int(rate)


def test_nginx_serves_the_page_and_its_requests_at_the_path(proxy: str, films: Path) -> None:
    headers = {"Host": "films.example", "Origin": "https://films.example"}
    with httpx.Client(base_url=proxy, headers=headers, verify=False, timeout=60) as client:
        moved = client.get("/pleura")
        assert (moved.status_code, moved.headers["location"][-8:]) == (301, "/pleura/")
        assert "<title>Pleura" in client.get("/pleura/").text
        assert client.get("/pleura/page/app.js").status_code == 200
        answer = client.post("/pleura/v1/segmentations", content=(films / "a.png").read_bytes())
        assert answer.status_code == 200
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])  # nginx made it
        assert client.get("/pleura/", headers={"Host": "other.example"}).status_code == 421


# ---- Docker


@pytest.mark.parametrize("is_running", [True, False])
def test_the_health_check_of_the_image_is_right(serve: Any, is_running: bool) -> None:
    (check,) = instructions()["HEALTHCHECK"]
    program, *arguments = json.loads(check[check.index("CMD") + 3 :])
    server = serve()
    port = server.address.rpartition(":")[2]
    if not is_running:
        server.stop()
    command = [argument.replace("8017", port) for argument in arguments]
    assert program == "python"
    done = subprocess.run([sys.executable, *command], capture_output=True)
    assert (done.returncode == 0) is is_running


def test_a_wheel_is_built_from_the_files_that_the_image_is_given(tmp_path: Path) -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    given = [line[1:] for line in lines if line.startswith("!")]
    assert lines[1] == "*"
    for name in given:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / name)
    assert "constraints.txt" in given  # of the `pip install` in the Dockerfile
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    (made,) = (tmp_path / "out").glob("*.whl")
    names = zipfile.ZipFile(made).namelist()
    assert {"pleura/weights/pleura.onnx", "pleura/apps/serve/page/index.html"} <= set(names)


# ---- Kubernetes


def test_the_parts_of_the_kubernetes_manifest_fit() -> None:
    deployment, service = documents("kubernetes.yaml")
    assert [part["kind"] for part in (deployment, service)] == ["Deployment", "Service"]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    args = container["args"]
    assert args[args.index("--port") + 1] == str(ports["http"])
    used = [container[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")]
    assert {*used, service["spec"]["ports"][0]["targetPort"]} == set(ports)
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
