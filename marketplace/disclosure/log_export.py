"""Copies of tree heads in a folder outside: a mounted disk, or a clone of a repository that others hold. Carried out by the outbox.

If the folder is a git work tree, the new file is committed and pushed, so that taking it back would be seen.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from marketplace.disclosure import tree_head
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.errors import OutsideFailure
from marketplace.foundation.language import N_


@outbox.handles("log.export")
def export(payload: dict[str, Any]) -> None:
    """Write the head of ``payload`` (its number) and every one that is missing before it. OutsideFailure ``log.export``."""
    if settings().log_export_dir:
        write(Path(settings().log_export_dir))


def write(folder: Path) -> int:
    """Write every head that the folder has not; how many. A head that is there is never written over: it is the older witness."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        have = {int(each.stem) for each in folder.glob("*.txt") if each.stem.isdecimal()}
        heads, last = [], 0
        while some := tree_head.after(last):
            heads += [each for each in some if each.number not in have]
            last = some[-1].number
        for each in heads:
            (folder / f"{each.number:06d}.json").write_text(json.dumps(tree_head.published(each), indent=1) + "\n")
            (folder / f"{each.number:06d}.txt").write_text(each.note)
        if heads and (folder / ".git").exists():
            _push(folder, f"Tree head {heads[-1].number}, {heads[-1].fingerprint}")
    except (OSError, subprocess.SubprocessError) as error:
        raise OutsideFailure("log.export", N_("封存写不到存放副本的文件夹。"), why=str(error)[:300]) from error
    return len(heads)


def _push(folder: Path, message: str) -> None:
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "add", "--", "*.txt", "*.json"], check=True, timeout=60, capture_output=True)
    subprocess.run([*git, "commit", "-q", "-m", message], check=True, timeout=60, capture_output=True)
    if subprocess.run([*git, "remote"], check=True, timeout=60, capture_output=True).stdout.strip():
        subprocess.run([*git, "push", "-q"], check=True, timeout=60, capture_output=True)
