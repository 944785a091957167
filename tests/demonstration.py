"""A running ``flask demo`` for whoever needs the whole market: tests of the command itself, and ``make screenshots``."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]


@contextmanager
def demonstration(folder: Path, port: int, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A demonstration in DATA_DIR ``folder``: its process, its address, and all it has said. It ends with the context."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "flask", "demo", "--port", str(port), *arguments],
        cwd=TOP,
        env={key: value for key, value in os.environ.items() if key != "MARKET_ENV"} | {"DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        match = re.search(r"The market is open\s+(\S+)", said)
        assert match, said
        yield demo, match[1], said
    finally:
        demo.terminate()
        demo.wait(20)
        demo.stdout.close()
