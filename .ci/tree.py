"""Checks of the source tree that no linter knows. Each check yields one line a fault; no fault, no word.

`python .ci/tree.py [FOLDER]` prints all faults and exits 1 if there is one.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

LONGEST = {".css": 700}  # lines; a style sheet is read by search, everything else from top to bottom
LONGEST_OF_ALL = 400
WRITTEN = {".py", ".html", ".css", ".js", ".sh", ".txt", ".md", ".toml", ".xml", ".svg", ""}
GENERATED = ("static/vendor/", "static/pictures/", "requirements", "LICENSE", "catalog_seed/pictures/", "tests/payments/localstripe.txt", "marketplace/foundation/migrations/versions/")
MAGNETS = {"utils", "util", "helpers", "services", "service", "managers", "models", "views", "common"}
LISTED = re.compile(r"^``(\w+)``  +\S", re.MULTILINE)
# Spelt in two halves, so that this file does not find itself.
REGISTRIES = re.compile(
    "|".join(
        re.escape(a + b)
        for a, b in [
            ("pypi", ".org"), ("pythonhosted", ".org"), ("registry.npm", "js.org"), ("registry.yarn", "pkg.com"),
            ("deb.debian", ".org"), ("mirrors.ali", "yun.com"), ("mirrors.tuna", ".tsinghua"), ("--index", "-url"),
            ("--extra-", "index"), ("index-", "url ="), ("proxy.go", "lang.org"), ("crates", ".io"),
        ]
    )
)  # fmt: skip
OWN_FOLDERS = re.compile(r"""(?:^|[\s"'`=(])/(?:work|root|home/\w+|tmp/\w+)/""")
FOREIGN_PARTS = re.compile(r"""<(?:script|img|iframe|link|source)\b[^>]*\b(?:src|href|srcset)\s*=\s*["'](?:https?:)?//""", re.IGNORECASE)
CLOCKS = re.compile(r"\bdatetime\.now\(|\bdate\.today\(|\butcnow\(|\btime\.time\(\)")
COMMITS = re.compile(r"\bsession\.commit\(|\bsession\(\)\.commit\(")
OPENS_TRANSACTION = re.compile(r"(?<![.\w])transaction\(|\bdriver\.alone\(")
# What talks to the network, which no transaction may be open during: short ones are opened on either side.
BETWEEN_CALLS = ("marketplace/payments/call.py", "marketplace/payments/refund_call.py", "marketplace/payments/transfer_ending.py")
# An outbox message is carried out outside any transaction; this one's outside is a table.
OWN_TRANSACTION = ("marketplace/search/postgres_index.py",)
ENTRANCES = ("web", "api", "cli", "jobs", "simulation")


def files(top: Path) -> list[str]:
    """Paths of what is or would be committed, with forward slashes."""
    listed = subprocess.run(
        ["git", "-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name and (top / name).is_file()]
    else:
        names = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and ".git" not in path.parts]
    return sorted(set(names))


def texts(top: Path, *, within: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every file that people write."""
    for name in files(top):
        if name.startswith(within) and not name.startswith(GENERATED) and Path(name).suffix in WRITTEN:
            yield name, (top / name).read_text(encoding="utf-8", errors="replace")


def code(name: str, text: str) -> str:
    """A Python file without its docstrings and comments, line for line; any other file as it is."""
    if not name.endswith(".py"):
        return text
    bare = re.sub(r'""".*?"""', lambda quoted: "\n" * quoted[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"(?m)(^|\s)#.*$", "", bare)


def lines(top: Path, pattern: re.Pattern[str], why: str, *, within: str = "", only_code: bool = False) -> Iterator[str]:
    """A fault for every line that ``pattern`` finds."""
    for name, text in texts(top, within=within):
        text = code(name, text) if only_code else text
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield f"{name}:{number}: {why}: {line.strip()[:100]}"


def too_long(top: Path) -> Iterator[str]:
    for name, text in texts(top):
        longest = LONGEST.get(Path(name).suffix, LONGEST_OF_ALL)
        if (count := len(text.splitlines())) > longest:
            yield f"{name}: {count} lines; {longest} is the end of a file: two nouns share a room"


def magnets(top: Path) -> Iterator[str]:
    for name in files(top):
        parts = {Path(name).stem, *Path(name).parts[:-1]}
        if name.endswith(".py") and parts & MAGNETS:
            yield f"{name}: not a noun of the business; a file named so grows without end"


def closed(top: Path) -> Iterator[str]:
    """Everything in the foundation stands, with why, in the list of its docstring, and nothing stands there that is gone."""
    package = "marketplace/foundation/"
    names = {Path(name.removeprefix(package)).parts[0].removesuffix(".py") for name in files(top) if name.startswith(package)} - {"__init__"}
    said = top / package / "__init__.py"
    listed = set(LISTED.findall(said.read_text())) if said.is_file() else set()
    for name in sorted(names - listed):
        yield f"{package}{name}: not in the list of {package}__init__.py: is it a noun that knows nothing of the market?"
    for name in sorted(listed - names):
        yield f"{package}{name}: in the list of {package}__init__.py, but not here"


def addresses(top: Path) -> Iterator[str]:
    yield from lines(top, REGISTRIES, "a registry's address; the environment's own configuration names it")
    for name in files(top):
        if name.startswith("requirements"):
            for number, line in enumerate((top / name).read_text().splitlines(), 1):
                if "://" in line:
                    yield f"{name}:{number}: an address: {line.strip()[:100]}"


def own_folders(top: Path) -> Iterator[str]:
    yield from lines(top, OWN_FOLDERS, "a path of one machine")


def foreign_parts(top: Path) -> Iterator[str]:
    yield from lines(top, FOREIGN_PARTS, "a page's part from elsewhere; keep it in static/", within="templates/")


def clocks(top: Path) -> Iterator[str]:
    for fault in lines(top, CLOCKS, "ask clock.now(), which tests can move", within="marketplace/", only_code=True):
        if not fault.startswith(("marketplace/foundation/clock.py", "marketplace/emulator/")):
            yield fault


def commits(top: Path) -> Iterator[str]:
    """Only ``transaction()`` commits, and only entrances open one (and what talks to the network)."""
    for fault in lines(top, COMMITS, "only transaction() commits", within="marketplace/", only_code=True):
        if not fault.startswith(("marketplace/foundation/database.py", "marketplace/emulator/")):
            yield fault
    for name, text in texts(top, within="marketplace/"):
        package = name.split("/")[1]
        if package in (*ENTRANCES, "foundation", "emulator") or name in (*BETWEEN_CALLS, *OWN_TRANSACTION):
            continue
        for number, line in enumerate(code(name, text).splitlines(), 1):
            if OPENS_TRANSACTION.search(line):
                yield f"{name}:{number}: only an entrance opens a transaction: {line.strip()[:100]}"


def vendored(top: Path) -> Iterator[str]:
    """Every file under static/vendor stands in its MANIFEST.sha256 and is what that says."""
    held = [name for name in files(top) if name.startswith("static/vendor/")]
    if not held:
        return
    sums = top / "static/vendor/MANIFEST.sha256"
    if not sums.is_file():
        yield "static/vendor: no MANIFEST.sha256 (in static/vendor: sha256sum $(find . -type f ! -name MANIFEST.sha256) > MANIFEST.sha256)"
        return
    said: dict[str, str] = {}
    for line in sums.read_text().splitlines():
        if line and not line.startswith("#"):
            digest, _, name = line.partition(" ")
            said["static/vendor/" + name.strip().lstrip("*").removeprefix("./")] = digest
    for name in held:
        if name.endswith(("MANIFEST.sha256", "README.md")):
            continue
        digest = hashlib.sha256((top / name).read_bytes()).hexdigest()
        if name not in said:
            yield f"{name}: not in MANIFEST.sha256"
        elif said[name] != digest:
            yield f"{name}: not the file that MANIFEST.sha256 means"
    for name in sorted(said.keys() - set(held)):
        yield f"{name}: in MANIFEST.sha256, but not here"


CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (
    too_long, magnets, closed, addresses, own_folders, foreign_parts, clocks, commits, vendored,
)  # fmt: skip


def main() -> int:
    top = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    faults = [fault for check in CHECKS for fault in check(top)]
    print("\n".join(faults) or f"{len(files(top))} files, nothing to say against them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
