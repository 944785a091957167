"""What a command starts ends with it: also what a child started, what does not listen, and what a pause gives up."""

import os
import sys
import time
from pathlib import Path

import pytest

from marketplace.cli.processes import Processes

# A child that starts another; both are deaf to being asked to end. The other's number goes to the file named.
DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print("begun", flush=True)
    time.sleep(60)
else:
    with open(sys.argv[1], "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(60)
"""


class GivenUp(Exception):
    pass


def lives(pid: int) -> bool:
    """Whether it does; somebody's child that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def written(file: Path) -> int:
    """The number in the file, as soon as its line is there."""
    while not (file.exists() and file.read_text().endswith("\n")):
        time.sleep(0.01)
    return int(file.read_text())


def test_a_deaf_child_and_its_child_are_gone_on_return(tmp_path: Path) -> None:
    with Processes(folder=tmp_path, logs=tmp_path, environ=os.environ) as processes:
        processes.start("deaf", sys.executable, "-c", DEAF, str(tmp_path / "pid"), environ={})
        grandchild = written(tmp_path / "pid")
        assert lives(grandchild)
        processes.end("deaf", seconds=0.1)
        assert not lives(grandchild)
        assert processes.ended() == {}


def test_what_a_pause_gives_up_is_ended_too(tmp_path: Path) -> None:
    def pause(_seconds: float) -> None:
        written(tmp_path / "pid")
        raise GivenUp

    deaf = DEAF.replace("SIG_IGN", "SIG_DFL")
    with pytest.raises(GivenUp), Processes(folder=tmp_path, logs=tmp_path, environ=os.environ, pause=pause) as processes:
        processes.run("long", sys.executable, "-c", deaf, str(tmp_path / "pid"), quiet=True)
    assert not lives(written(tmp_path / "pid"))


def test_its_environment_and_its_words_are_kept(tmp_path: Path) -> None:
    with Processes(folder=tmp_path, logs=tmp_path, environ={"ONE": "1"}) as processes:
        processes.start("says", sys.executable, "-c", "import os; print(os.environ['ONE'], os.environ['TWO'])", environ={"TWO": "2"})
        while "says" not in processes.ended():
            time.sleep(0.01)
        assert processes.said("says") == "1 2"
