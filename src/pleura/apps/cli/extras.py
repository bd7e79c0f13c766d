"""The packages of extras such as `pleura[train]`, and which of them are installed."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version

from pleura.core.errors import UsageError

__all__ = ["extras", "installed_version", "missing_package", "required_by"]


@lru_cache(maxsize=1)
def extras() -> dict[str, tuple[str, ...]]:
    """The packages of each extra, by the metadata of the installed Pleura."""
    packages: dict[str, tuple[str, ...]] = {}
    for line in _requirements("pleura"):
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name and extra:
            packages[extra[1]] = (*packages.get(extra[1], ()), name[0])
    return packages


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def required_by(package: str, other: str) -> str | None:
    """The versions of `other` that an installed package requires, as `==2.13.0`, or None."""
    for line in _requirements(package):
        match = re.fullmatch(rf"{re.escape(other)}\s*\(?([^;)]*)\)?(;.*)?", line)
        if match:
            return match[1].strip() or None
    return None


def missing_package(error: ModuleNotFoundError) -> UsageError | None:
    """An error that says how to install a missing package; None if it belongs to no extra."""
    name = (error.name or "").partition(".")[0]
    for extra, packages in extras().items():
        if name in packages:
            return UsageError(
                f"this command needs {name}, which is not installed; it comes with the extra "
                f"'{extra}': pip install \"pleura[{extra}]\""
            )
    return None


def _requirements(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:  # for pleura: a source folder that was never installed
        return []
