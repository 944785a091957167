"""django-hordak beside us: its own environment, a database of its own on the same server, and as many processes as ours."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PEERS = Path(__file__).with_name("peers")
DATABASE = "hordak"


class PeerMissing(Exception):
    """Its environment could not be made; the text says why."""


@dataclass(frozen=True)
class Hordak:
    """Its interpreter, and the folder of the server's socket."""

    python: Path
    socket: str

    @classmethod
    def made(cls, folder: Path, address: str) -> "Hordak":
        """Its environment (kept under ``folder``) and its tables beside the database ``address``. PeerMissing without an index."""
        import psycopg

        python = folder / "hordak" / "bin" / "python"
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [] if python.exists() else [*uv, "venv", "-q", "--python", sys.executable, folder / "hordak"],
            [*uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", PEERS / "hordak.txt"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False) if command else None
            if done is not None and done.returncode:
                raise PeerMissing(done.stderr.strip()[-500:])
        socket = parse_qs(urlsplit(address).query)["host"][0]
        with psycopg.connect(host=socket, user="market", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        made = cls(python, socket)
        subprocess.run(made._command("make"), check=True, capture_output=True)
        return made

    def per_second(self, workers: int, seconds: float, together: int = 1) -> float:
        """Orders a second, ``together`` a commit, all from one payer."""
        processes = [
            subprocess.Popen(self._command(f"{seconds}x{together}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(workers)
        ]
        for process in processes:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise PeerMissing("it did not begin")
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        return sum(float(process.communicate(timeout=seconds + 120)[0]) for process in processes)

    def _command(self, what: str) -> list[str]:
        return [str(self.python), str(PEERS / "hordak_orders.py"), self.socket, DATABASE, what]
