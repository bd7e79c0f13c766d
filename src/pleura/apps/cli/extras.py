"""What `pip install "pleura[train]"` and its like would bring, and what is here of it."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version

from pleura.core.errors import UsageError

__all__ = ["extras", "installed_version", "missing_package", "required_by"]


@lru_cache(maxsize=1)
def extras() -> dict[str, tuple[str, ...]]:
    """The packages of each extra that pleura was installed with the knowledge of."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _requirements("pleura"):
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name and extra:
            found[extra[1]] = (*found.get(extra[1], ()), name[0])
    return found


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it; None if it is not here."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def required_by(package: str, other: str) -> str | None:
    """What an installed `package` demands of `other`, such as `==2.13.0`; None if nothing."""
    for line in _requirements(package):
        found = re.fullmatch(rf"{re.escape(other)}\s*\(?([^;)]*)\)?(;.*)?", line)
        if found:
            return found[1].strip() or None
    return None


def missing_package(error: ModuleNotFoundError) -> UsageError | None:
    """Say how to install what `error` missed, or None if it belongs to no extra of ours."""
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
