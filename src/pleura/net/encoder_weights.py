"""Loading public VGG13-BN weights into the encoder column, by name, without torchvision."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import torch
from torch import Tensor, nn

from pleura.core.errors import UsageError, WeightsError
from pleura.net.quiet import quiet
from pleura.net.unetplusplus import Backbone

__all__ = ["IMAGENET_URL", "load_encoder"]

IMAGENET_URL = "https://download.pytorch.org/models/vgg13_bn-abd245e5.pth"
"""torchvision's VGG13_BN_Weights.IMAGENET1K_V1."""

CHECKSUM = re.compile(r"(?:-([0-9a-f]{8,64})\.pth|#sha256=([0-9a-f]{8,64}))$")
"""The first digits of the file's SHA-256: in its name, as torch writes it, or after the URL."""

log = logging.getLogger(__name__)


def load_encoder(network: Backbone, source: str) -> None:
    """Copy an encoder's public weights into a network whose encoder is `vgg13_bn`.

    `source` is `imagenet`, a path, or a URL of a file with torchvision's `features.N.*` tensors;
    its classifier is not used. A downloaded file is kept in the user's cache. At each use it is
    checked against the SHA-256 in its name (`NAME-HEX.pth`) or after its URL (`#sha256=HEX`).

    Raises:
        UsageError: the network has another encoder, the file does not exist, the URL has no
            checksum, or it cannot be reached.
        WeightsError: the file is damaged, or is of another network.
    """
    if network.architecture.encoder != "vgg13_bn" or not network.architecture.batch_norm:
        raise UsageError(
            "encoder_weights need encoder = 'vgg13_bn' and batch_norm = true in [network]; "
            f"got encoder {network.architecture.encoder!r}"
        )
    public_tensors = _read(_local_path(source))
    names = public_names(network)
    missing = [public for public in names if public not in public_tensors]
    if missing:
        raise WeightsError(
            f"{source}: no VGG13 with batch normalisation in torchvision's format; of its "
            f"{len(names)} tensors {len(missing)} are missing, such as {missing[0]}"
        )
    own = network.encoder.state_dict()
    for public, name in names.items():
        if own[name].shape != public_tensors[public].shape:
            raise WeightsError(
                f"{source}: {public} is {tuple(public_tensors[public].shape)}, "
                f"expected {tuple(own[name].shape)}"
            )
        own[name] = public_tensors[public]
    network.encoder.load_state_dict(own)


def public_names(network: Backbone) -> dict[str, str]:
    """Torchvision's name -> our name, for every tensor of the encoder column.

    torchvision numbers the layers of all stages in one sequence, and counts the pooling layers.
    """
    names: dict[str, str] = {}
    number = 0
    for i, stage in enumerate(network.encoder):
        assert isinstance(stage, nn.Sequential)
        for k, layer in enumerate(stage):
            # Files of PyTorch before 0.4.1 have no count of batches. It is not needed.
            for tensor in sorted(layer.state_dict().keys() - {"num_batches_tracked"}):
                names[f"features.{number + k}.{tensor}"] = f"{i}.{k}.{tensor}"
        number += len(stage) + 1
    return names


def _local_path(source: str) -> Path:
    url = IMAGENET_URL if source == "imagenet" else source
    if urlsplit(url).scheme in ("http", "https"):
        return _download(url)
    if not Path(source).is_file():
        raise UsageError(
            f"{source}: no such file; encoder_weights is none, imagenet, a path or a URL"
        )
    return Path(source)


def _download(url: str) -> Path:
    checksum = CHECKSUM.search(url)
    if not checksum:
        raise UsageError(
            f"{url}: the file has no checksum; add #sha256= and its SHA-256 to the URL, "
            "or download it yourself and give its path"
        )
    digits = checksum[1] or checksum[2]
    address = url.partition("#")[0]
    name = f"{digits[:16]}-{Path(urlsplit(address).path).name}"
    log.info("encoder weights from %s", address)
    # pooch checks complete hashes only; the first digits in torch's names are checked below.
    try:
        with quiet(pooch.get_logger()):
            cache = pooch.os_cache("pleura")
            path = Path(pooch.retrieve(address, known_hash=None, fname=name, path=cache))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{address} cannot be reached ({type(error).__name__}); fetch it on a connected "
            "machine and give its path as encoder_weights"
        ) from error
    if not pooch.file_hash(str(path)).startswith(digits):
        path.unlink()
        raise WeightsError(
            f"{address}: the downloaded file is not the published one, its SHA-256 does not begin "
            f"with {digits}; try again, or fetch it by hand and give its path"
        )
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises any error of its unpickler
        raise WeightsError(
            f"{path}: not a file of torch tensors ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds {type(content).__name__}, expected a table of tensors")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
