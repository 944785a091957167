"""Child processes of one command: each in a group of its own, each with a log file, and none of them outlives the command.

``end`` ends whole groups, so that what a child started ends too; a parent that is killed takes them along (``setpriv``).
A signal never interrupts this bookkeeping: it is heard where the command pauses, and a child once started is always known.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self


class Processes:
    """The processes that a command keeps running. Use as a context: leaving it ends all of them.

    ``pause`` waits for so many seconds; it may raise, and then what is waited for is given up.
    """

    def __init__(self, *, folder: Path, logs: Path, environ: Mapping[str, str], pause: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder
        self._logs = logs
        self._environ = dict(environ)
        self._pause = pause
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(*self._running)

    def start(self, name: str, *command: str, environ: Mapping[str, str]) -> None:
        """Start ``command`` under ``name`` with more environment; what it says goes to ``<name>.log``, which begins anew."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [*_ends_with_us(), *command],
                cwd=self._folder,
                env=self._environ | dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the command, which ends them in order
            )

    def run(self, name: str, *command: str, quiet: bool) -> int:
        """Run ``command`` to its end; if ``quiet``, what it says on stdout goes to ``<name>.log``. Its exit code."""
        with self._log(name).open("wb") as log:
            self._running[name] = child = subprocess.Popen(
                [*_ends_with_us(), *command],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log if quiet else None,
                start_new_session=True,
            )
        while child.poll() is None:
            self._pause(0.1)
        self.forget(name)
        return child.returncode

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

    def end(self, *names: str, seconds: float = 8.0) -> None:
        """End these with their groups, the last started first: ask, and after ``seconds`` no longer ask. On return they are gone."""
        ending = {name: self._running[name] for name in reversed(self._running) if name in names}
        for child in ending.values():
            _signal_group(child.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        for name, child in ending.items():
            try:
                child.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(child.pid, signal.SIGKILL)
                child.wait()
            self.forget(name)
        for child in ending.values():
            _clear_group(child.pid)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _clear_group(leader: int, *, seconds: float = 2.0) -> None:
    """Whatever a child left in its group goes with it. A killed process is gone a moment later, and that moment is waited for."""
    until = time.monotonic() + seconds
    _signal_group(leader, signal.SIGKILL)
    while _lives(leader) and time.monotonic() < until:
        time.sleep(0.02)


def _lives(group: int) -> bool:
    """Whether anything of the group runs. Who ended and waits to be buried does not; a machine without /proc knows of nobody."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def _ends_with_us() -> list[str]:
    """What to put before a command so that Linux ends it when this process is gone, however it went."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
