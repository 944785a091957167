"""Child processes of one command: each in a group of its own, each with a log file, and none of them outlives the command.

``stop`` ends whole groups, so that what a child started ends too; a parent that is killed takes them along (``setpriv``).
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self


class Processes:
    """The processes that a command keeps running. Use as a context: leaving it ends all of them."""

    def __init__(self, *, folder: Path, logs: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._logs = logs
        self._environ = dict(environ)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *command: str) -> None:
        """Start ``command`` under ``name``; what it says goes to ``<name>.log``, which begins anew."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [*_ends_with_us(), *command],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the command, which ends them in order
            )

    def run(self, name: str, *command: str, quiet: bool) -> int:
        """Run ``command`` to its end; if ``quiet``, what it says on stdout goes to ``<name>.log``. Its exit code."""
        with self._log(name).open("wb") as log:
            child = subprocess.Popen(
                [*_ends_with_us(), *command],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log if quiet else None,
                start_new_session=True,
            )
        self._running[name] = child
        code = child.wait()
        self.forget(name)
        return code

    def ended(self) -> dict[str, int]:
        """Names and exit codes of those that have ended by themselves."""
        codes = {name: child.poll() for name, child in self._running.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def forget(self, name: str) -> None:
        """No longer report a process that has ended."""
        del self._running[name]

    def said(self, name: str, *, lines: int = 15) -> str:
        """The last lines of a process's log."""
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])

    def stop(self, *, seconds: float = 8.0) -> None:
        """End all groups: ask first, and after ``seconds`` no longer ask. The last started ends first."""
        for child in reversed(self._running.values()):
            _signal_group(child.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        for child in self._running.values():
            try:
                child.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(child.pid, signal.SIGKILL)
                child.wait()
            # Whatever a child left in its group goes with it.
            _signal_group(child.pid, signal.SIGKILL)
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _ends_with_us() -> list[str]:
    """What to put before a command so that Linux ends it when this process is gone, however it went."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
