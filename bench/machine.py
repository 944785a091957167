"""What a figure was measured on: machine, commit, date, versions; and how busy the machine was with other things."""

import platform
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bench.part import TOP
from bench.process_tree import CLOCK_TICKS


def described() -> str:
    """One line: when, which commit, which machine, which versions."""
    return (
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, commit {_commit()}, {_cores()} cores of {_processor()}, Python {platform.python_version()}, "
        f"Flask {version('flask')}, SQLAlchemy {version('sqlalchemy')}, granian {version('granian')}, {_load()}"
    )


def busy_elsewhere(seconds: float = 1.0) -> float:
    """Cores that this machine is using for other things just now."""
    before, began = _busy(), time.monotonic()
    time.sleep(seconds)
    return (_busy() - before) / (time.monotonic() - began)


def stolen() -> float:
    """Seconds of processor time that the host kept from this machine, since it started."""
    return int(_stat()[8]) / CLOCK_TICKS


def _busy() -> float:
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(each) for each in _stat()[1:9])
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS


def _stat() -> list[str]:
    return Path("/proc/stat").read_text().partition("\n")[0].split()


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(TOP), *arguments], capture_output=True, text=True, check=False).stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "marketplace", "templates", "wsgi.py") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def _load() -> str:
    from bench.page_load import generator

    return f"load from {generator()}, {sys.platform}"
