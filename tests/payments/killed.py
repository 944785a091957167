"""A worker that dies by kill -9 at an exact line: ``python -m tests.payments.killed FOLDER DATABASE GATEWAY WHERE``.

WHERE is ``before`` (the call's row is committed, nothing was sent) or ``after`` (the gateway has acted, nothing is recorded).
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from marketplace import create_app
from marketplace.foundation import outbox
from marketplace.payments.alipay_transport import HttpTransport
from tests.payments.chaos import settings_of


def main(folder: str, database: str, gateway: str, where: str) -> None:
    genuine = HttpTransport.post

    def dying(self: HttpTransport, *request: Any) -> bytes:
        if where == "after":
            genuine(self, *request)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead")

    HttpTransport.post = dying  # type: ignore[method-assign]
    app = create_app(settings_of(Path(folder), database, gateway, "http://127.0.0.1:9"))
    with app.app_context():
        outbox.drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
