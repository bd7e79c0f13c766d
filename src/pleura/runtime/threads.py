"""How many CPUs this process may use, and how many films are computed in parallel on them."""

from __future__ import annotations

import importlib
import math
import os
import platform
from pathlib import Path

__all__ = ["INT8_FEATURES", "cpu_features", "cpu_model", "int8_pays", "lanes", "usable_cpus"]


MAX_LANES = 4
"""The largest number of films in parallel; each takes about 60 MB for the network's maps."""


def lanes(cpus: int) -> int:
    """The number of films to compute in parallel on `cpus` CPUs."""
    cpus_a_film = math.ceil(cpus / MAX_LANES)
    return cpus // cpus_a_film


def usable_cpus() -> int:
    """The number of CPUs that this process may use, at least 1.

    It is the smallest of the machine's count, the scheduler's affinity (taskset, Slurm) and the
    cgroup's CPU quota (Docker `--cpus`, Kubernetes limits). A plain count of CPUs ignores the
    quota: 64 threads under a quota of two CPUs are slower than two threads.
    """
    cpus, quota = _allowed_cpus(), _quota(Path("/"))
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def _allowed_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows: no affinity to ask for


def _quota(root: Path) -> float | None:
    """CPUs granted by the cgroup of this process or any above it; None if unlimited."""
    granted = [
        share
        for folder in _cgroups(root)
        for share in (_share_v2(folder), _share_v1(folder))
        if share is not None
    ]
    return min(granted, default=None)


def _cgroups(root: Path) -> list[Path]:
    """Folders that may limit this process: its own cgroup and those above, both versions.

    Inside a container the path may be the host's and not exist. The top of the mount, which is then
    the container's own cgroup, is always among them.
    """
    mount = root / "sys/fs/cgroup"
    folders = {mount, mount / "cpu", mount / "cpu,cpuacct"}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mount / controllers  # version 2 has no controllers here: the mount itself
        own = top / path.lstrip("/")
        folders |= {own, *(above for above in own.parents if above.is_relative_to(top))}
    return sorted(folders)


def _share_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")  # "200000 100000" or "max 100000"
    return _ratio(quota, period)


def _share_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # absent, or "max"
        return None
    return share if share > 0 else None  # version 1 writes -1 for no limit


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


INT8_FEATURES = frozenset({"AVX2", "AVX512VNNI", "ASIMDDP"})
"""The instruction sets with which the int8 graph is faster than fp32, by measurement (1.8 times
with AVX2, see docs/explanation/performance.md) or by their instructions for 8 bits."""


def cpu_features() -> frozenset[str]:
    """The names, as numpy calls them, of the instruction sets that this CPU has."""
    known = importlib.import_module("numpy._core._multiarray_umath")
    features: dict[str, bool] = getattr(known, "__cpu_features__", {})
    return frozenset(name for name, here in features.items() if here)


def cpu_model() -> str:
    """The model name of the CPU, as the system gives it."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def int8_pays() -> bool:
    """Whether the int8 graph is faster on this CPU; False if numpy does not list its features."""
    return bool(INT8_FEATURES & cpu_features())
