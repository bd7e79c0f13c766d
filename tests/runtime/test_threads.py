"""The CPUs a process may use, from drawn cgroup trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pleura.runtime import threads
from pleura.runtime.threads import _quota, lanes, usable_cpus


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        # version 2, in a container that sees only its own cgroup
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        # version 2, a slice above the process's own cgroup has the lower limit
        (
            {
                "proc/self/cgroup": "0::/user.slice/job\n",
                "sys/fs/cgroup/user.slice/cpu.max": "200000 100000",
                "sys/fs/cgroup/user.slice/job/cpu.max": "400000 100000",
            },
            2.0,
        ),
        # version 1, as Docker mounts it
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        # version 1, the host's own path; no limit is written as -1
        (
            {
                "proc/self/cgroup": "2:cpu:/job\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        # another controller's limit is no limit on CPUs
        (
            {
                "proc/self/cgroup": "2:memory:/job\n",
                "sys/fs/cgroup/memory/job/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/memory/job/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    assert _quota(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 8), (0.5, 1), (1.0, 1), (1.5, 2), (64.0, 8)]
)
def test_the_lower_of_affinity_and_quota_counts(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(threads, "_allowed_cpus", lambda: 8)
    monkeypatch.setattr(threads, "_quota", lambda root: quota)
    assert usable_cpus() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no CPU affinity")
def test_affinity_is_followed() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("cpus", "side_by_side"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 2), (6, 3), (8, 4), (64, 4)]
)
def test_lanes_leave_few_cpus_idle(cpus: int, side_by_side: int) -> None:
    assert lanes(cpus) == side_by_side
    assert side_by_side * (cpus // side_by_side) >= 0.8 * cpus
