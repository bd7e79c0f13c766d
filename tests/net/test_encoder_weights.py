"""Public VGG13-BN weights: loaded by name, with a checksum, and downloaded only on request."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pleura.core.errors import UsageError, WeightsError
from pleura.net.encoder_weights import IMAGENET_URL, load_encoder
from pleura.net.unetplusplus import Architecture, UNetPlusPlus, build
from pleura.net.vgg import IMAGENET_MEAN, IMAGENET_STD

# torchvision.models.vgg13_bn().features, written from its configuration "B"; M is a pooling:
# 64 64 M 128 128 M 256 256 M 512 512 M 512 512 M, where each width stands for a convolution, a
# normalisation and a ReLU. The convolutions therefore lie at 0 3 (6) 7 10 (13) 14 17 (20) 21 24
# (27) 28 31 (34), poolings in brackets.
CONVOLUTIONS = {
    0: (3, 64),
    3: (64, 64),
    7: (64, 128),
    10: (128, 128),
    14: (128, 256),
    17: (256, 256),
    21: (256, 512),
    24: (512, 512),
    28: (512, 512),
    31: (512, 512),
}

# The first two stages are enough for most tests, and small.
SHALLOW = Architecture(widths=(64, 128), encoder="vgg13_bn")
DEEP = Architecture(widths=(64, 128, 256, 512, 512), encoder="vgg13_bn")


def public_weights(upto: int = 31) -> dict[str, Tensor]:
    """The content of torchvision's file: the features, and a classifier (small here)."""
    generator = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}
    for at, (before, after) in CONVOLUTIONS.items():
        if at > upto:
            break
        state[f"features.{at}.weight"] = torch.rand(after, before, 3, 3, generator=generator) - 0.5
        state[f"features.{at}.bias"] = torch.rand(after, generator=generator) - 0.5
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = torch.rand(after, generator=generator) + 0.5
            state[f"features.{at + 1}.{name}"] = values
        state[f"features.{at + 1}.num_batches_tracked"] = torch.tensor(7 + at)
    for at in (0, 3, 6):
        state[f"classifier.{at}.weight"] = torch.rand(5, 5, generator=generator)
        state[f"classifier.{at}.bias"] = torch.rand(5, generator=generator)
    return state


@pytest.fixture
def public_file(tmp_path: Path) -> Path:
    path = tmp_path / "served" / "vgg13_bn.pth"
    path.parent.mkdir()
    torch.save(public_weights(10), path)
    return path


def test_every_public_tensor_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "vgg13_bn.pth"
    given = public_weights()
    torch.save(given, path)
    network = build(DEEP)
    load_encoder(network, str(path))
    # Our column, read in order, is torchvision's, read in order: layers with numbers only.
    layers = [layer for stage in network.encoder for layer in stage]  # type: ignore[union-attr]
    ours = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    numbers = sorted({int(name.split(".")[1]) for name in given if name.startswith("features")})
    assert numbers == [0, 1, 3, 4, 7, 8, 10, 11, 14, 15, 17, 18, 21, 22, 24, 25, 28, 29, 31, 32]
    for layer, at in zip(ours, numbers, strict=True):
        held = layer.state_dict()
        assert {f"features.{at}.{name}" for name in held} == {
            name for name in given if name.startswith(f"features.{at}.")
        }
        for name in held.keys() - {"num_batches_tracked"}:
            assert torch.equal(held[name], given[f"features.{at}.{name}"])


def test_a_file_without_counts_of_batches_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    given = public_weights(10)
    torch.save({name: value for name, value in given.items() if "num_batches" not in name}, path)
    network = build(SHALLOW)
    load_encoder(network, str(path))
    assert loaded(network)  # type: ignore[arg-type]


def test_a_film_is_repeated_to_three_channels_and_scaled_as_imagenet(public_file: Path) -> None:
    torch.manual_seed(0)
    network = build(SHALLOW).eval()
    load_encoder(network, str(public_file))
    given = public_weights(10)
    film = torch.rand(1, 1, 8, 8)
    seen: list[Tensor] = []
    network.encoder[1].register_forward_hook(lambda *args: seen.append(args[-1]))
    with torch.no_grad():
        network(film)

    mean, std = (torch.tensor(item).view(1, 3, 1, 1) for item in (IMAGENET_MEAN, IMAGENET_STD))
    value = (film.repeat(1, 3, 1, 1) - mean) / std
    for at in (0, 3, 7, 10):
        value = F.max_pool2d(value, 2) if at == 7 else value
        value = F.conv2d(
            value, given[f"features.{at}.weight"], given[f"features.{at}.bias"], padding=1
        )
        names = ("running_mean", "running_var", "weight", "bias")
        value = F.batch_norm(value, *(given[f"features.{at + 1}.{name}"] for name in names))
        value = F.relu(value)
    torch.testing.assert_close(seen[0], value, rtol=1e-4, atol=1e-4)


def test_the_decoder_keeps_its_initial_weights(public_file: Path) -> None:
    torch.manual_seed(0)
    network = build(SHALLOW)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_encoder(network, str(public_file))
    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert changed
    assert all(name.startswith("encoder.") for name in changed)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(widths=(64, 128)),
        Architecture(widths=(64, 128), encoder="vgg13_bn", batch_norm=False),
    ],
    ids=str,
)
def test_another_encoder_is_refused(public_file: Path, architecture: Architecture) -> None:
    with pytest.raises(UsageError, match="need encoder = 'vgg13_bn' and batch_norm = true"):
        load_encoder(build(architecture), str(public_file))


def test_a_missing_file_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file; encoder_weights is none, imagenet, a path"):
        load_encoder(build(SHALLOW), str(tmp_path / "vgg13.pth"))


def write(path: Path, content: object) -> str:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return str(path)


class Gadget:
    """An object that torch.save pickles and torch.load must not unpickle."""


def wrong_files() -> dict[str, tuple[object, str]]:
    vgg13 = public_weights(10)
    plain = {name: value for name, value in vgg13.items() if "running" not in name}
    narrow = {**vgg13, "features.7.weight": torch.zeros(99, 64, 3, 3)}
    return {
        "empty": (b"", "not a file of torch tensors"),
        "page": (b"<html>not found</html>", "not a file of torch tensors"),
        "code": ({"features.0.weight": Gadget()}, "not a file of torch tensors"),
        "tensor": (torch.zeros(3), "holds Tensor, expected a table of tensors"),
        # Four convolutions with biases, four normalisations: 4 x 2 + 4 x 4 tensors.
        "resnet": ({"conv1.weight": torch.zeros(1)}, "of its 24 tensors 24 are missing, such as"),
        # Without normalisation the layers are numbered otherwise; by name they cannot be mistaken.
        "vgg13": (plain, "8 are missing, such as features.1.running_mean"),
        "narrow": (narrow, r"features.7.weight is \(99, 64, 3, 3\), expected \(128, 64, 3, 3\)"),
        "text": (
            {**vgg13, "features.7.weight": "zero"},
            "1 are missing, such as features.7.weight",
        ),
    }


@pytest.mark.parametrize("kind", wrong_files())
def test_a_wrong_file_is_refused_and_nothing_changes(tmp_path: Path, kind: str) -> None:
    content, message = wrong_files()[kind]
    network = build(SHALLOW)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_encoder(network, write(tmp_path / "weights.pth", content))
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


@pytest.fixture
def served(public_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a local server, with a cache folder of the test."""
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=public_file.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def loaded(network: UNetPlusPlus) -> bool:
    value = network.encoder.state_dict()["0.0.weight"]
    return value.equal(public_weights(0)["features.0.weight"])


@pytest.mark.parametrize("place", ["in the name", "behind the address"])
def test_a_url_is_downloaded_checked_and_cached(
    served: str, public_file: Path, place: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if place == "in the name":
        public_file = public_file.rename(
            public_file.with_stem(f"vgg13_bn-{digest(public_file)[:8]}")
        )
        url = f"{served}/{public_file.name}"
    else:
        url = f"{served}/{public_file.name}#sha256={digest(public_file)}"
    first, second = build(SHALLOW), build(SHALLOW)
    load_encoder(first, url)  # type: ignore[arg-type]
    public_file.unlink()
    load_encoder(second, url)  # type: ignore[arg-type]
    assert loaded(first)  # type: ignore[arg-type]
    assert loaded(second), "kept from the first time"  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")


def test_a_file_with_a_wrong_checksum_is_refused_and_removed(
    served: str, public_file: Path
) -> None:
    right = digest(public_file)
    wrong = "0" * 8 + right[8:16]
    altered = public_file.rename(public_file.with_stem(f"vgg13_bn-{wrong}"))
    with pytest.raises(WeightsError, match=f"does not begin with {wrong}; try again"):
        load_encoder(build(SHALLOW), f"{served}/{altered.name}")
    # And once the server has the right one, it is fetched again: nothing wrong was kept.
    torch.save({**public_weights(10), "more": torch.zeros(1)}, altered)
    network = build(SHALLOW)
    load_encoder(network, f"{served}/{altered.name}#sha256={digest(altered)}")
    assert loaded(network)  # type: ignore[arg-type]


def test_two_files_of_the_same_name_are_cached_apart(served: str, public_file: Path) -> None:
    load_encoder(build(SHALLOW), f"{served}/vgg13_bn.pth#sha256={digest(public_file)}")
    torch.save(public_weights(10) | {"features.0.bias": torch.full((64,), 9.0)}, public_file)
    network = build(SHALLOW)
    load_encoder(network, f"{served}/vgg13_bn.pth#sha256={digest(public_file)}")
    assert network.encoder.state_dict()["0.0.bias"].eq(9).all()


def test_a_url_without_a_checksum_is_refused(served: str) -> None:
    with pytest.raises(UsageError, match="add #sha256= and its SHA-256 to the URL"):
        load_encoder(build(SHALLOW), f"{served}/vgg13_bn.pth")


@pytest.mark.parametrize("fault", ["closed", "not found"])
def test_an_unreachable_url_has_advice(served: str, fault: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        free = f"http://127.0.0.1:{server.server_port}"  # closed again after this line
    base = free if fault == "closed" else served
    with pytest.raises(
        UsageError, match=r"cannot be reached \(\w+\); fetch it on a connected machine and give"
    ):
        load_encoder(build(SHALLOW), f"{base}/vgg-00000000.pth")


def test_the_published_url_has_a_checksum() -> None:
    # torchvision.models.VGG13_BN_Weights.IMAGENET1K_V1.url
    assert IMAGENET_URL == "https://download.pytorch.org/models/vgg13_bn-abd245e5.pth"
