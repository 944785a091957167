"""A worker that dies by kill -9 after an errand's work and before its commit: ``python -m tests.errands.killed FOLDER DATABASE``."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from marketplace import create_app
from marketplace.errands import attempt
from marketplace.foundation.config import read_settings
from marketplace.jobs import schedule


def main(folder: str, database: str) -> None:
    def dying(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    attempt._end = dying
    schedule.once(create_app(read_settings({}, environment="test", data_dir=Path(folder), database_url=database, secret_key="t" * 40)), "errands")


if __name__ == "__main__":
    main(*sys.argv[1:])
