"""Processor time and memory of a process with all that it started, from /proc."""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def members(roots: Iterable[int]) -> list[int]:
    """The roots and all their descendants that are alive."""
    children: dict[int, list[int]] = {}
    for name in (path.name for path in Path("/proc").iterdir()):
        if name.isdigit() and (fields := _fields(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return sorted(set(found))


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the tree, with that of its members' children that have ended."""
    return sum(int(ticks) for pid in members(roots) for ticks in _fields(pid)[11:15]) / CLOCK_TICKS


def memory_mib(roots: Iterable[int]) -> list[tuple[str, float]]:
    """Name and proportional memory (shared pages divided among their users) of each member, largest first."""
    found = []
    for pid in members(roots):
        try:
            said = Path(f"/proc/{pid}/smaps_rollup").read_text()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if proportional := re.search(r"^Pss:\s+(\d+) kB", said, re.MULTILINE):
            found.append((name, int(proportional[1]) / 1024))
    return sorted(found, key=lambda each: -each[1])


def resident_mib(pid: int) -> float:
    """Resident memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def settle(roots: Iterable[int], seconds: float = 30.0) -> None:
    """Wait until the tree has worked off what a load left behind."""
    until = time.monotonic() + seconds
    before = cpu_seconds(roots)
    while time.monotonic() < until:
        time.sleep(0.3)
        now = cpu_seconds(roots)
        if now - before <= 0.03:
            return
        before = now


def _fields(pid: int) -> list[str]:
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return said[said.rindex(")") + 2 :].split()
