"""总账封存: the verifiable log for everybody. Heads as pages and files, the leaves' hashes, and the program that checks a proof.

Nothing here is about a person: heads and hashes, of which the books cannot be computed. Anybody may copy all of it.
"""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import select

from marketplace.disclosure import log_key, receipt_script, tree_head
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_head import TreeHead
from marketplace.foundation.database import db
from marketplace.web.permission import public

bp = Blueprint("log", __name__, url_prefix="/log")
PAGE = 20
LEAVES = 1000  # hashes a file


@bp.get("")
@public
def index() -> str:
    before = _number("before")
    rows = tree_head.page(before, PAGE + 1)
    newest = tree_head.newest()
    return render_template(
        "log/index.html",
        newest=newest,
        key=_written(newest) if newest else "",
        fingerprint=_in_fours(newest.fingerprint) if newest else "",
        rows=rows[:PAGE],
        next_url=url_for(".index", before=rows[PAGE - 1].number) if len(rows) > PAGE else None,
        previous_url=url_for(".index") if before else None,
        here="accounts",
    )


@bp.get("/<int:number>")
@public
def show(number: int) -> str:
    row = tree_head.numbered(number)
    before = tree_head.numbered(number - 1) if number > 1 else None
    newest = tree_head.newest()
    return render_template(
        "log/show.html",
        head=row,
        before=before,
        key=_written(row),
        fingerprint=_in_fours(row.fingerprint),
        next_number=number + 1 if newest and newest.number > number else None,
        here="accounts",
    )


@bp.get("/<int:number>.txt")
@public
def note(number: int) -> Response:
    return _kept(tree_head.numbered(number).note, "text/plain", for_good=True)


@bp.get("/heads.json")
@public
def heads() -> Response:
    """Every head after ``after``, the oldest first, a thousand at a time, each with the proof that it extends the one before."""
    after = _number("after") or 0
    rows = tree_head.after(after, 1000)
    told: dict[str, Any] = {
        "keys": [{"public_key": each.public_key, "statement": each.statement} for each in log_key.all_keys()],
        "heads": [tree_head.published(each) for each in rows],
        "next": url_for(".heads", after=rows[-1].number) if len(rows) == 1000 else None,
    }
    return _kept(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "application/json")


@bp.get("/leaves/<int:first>.txt")
@public
def leaves(first: int) -> Response:
    """Hashes of a thousand sealed leaves from ``first`` on, one a line: whoever keeps them can compute every root by themselves."""
    newest = tree_head.newest()
    size = newest.size if newest else 0
    first = min(first, size)
    query = select(LogLeaf.hash).where(LogLeaf.seq >= first, LogLeaf.seq < min(size, first + LEAVES)).order_by(LogLeaf.seq)
    return _kept("".join(f"{bytes(each).hex()}\n" for each in db.session.scalars(query)), "text/plain")


@bp.get("/verify_receipt.py")
@public
def script() -> Response:
    response = _kept(receipt_script.text(), "text/x-python")
    response.headers["Content-Disposition"] = "attachment; filename=verify_receipt.py"
    return response


def _number(name: str) -> int | None:
    asked = request.args.get(name, "")
    return int(asked) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 10 else None


def _written(row: TreeHead) -> str:
    return log_key.written(tree_head.origin_of(row), tree_head.key_of(row).public_key)


def _in_fours(digits: str) -> str:
    return " ".join(digits[n : n + 4] for n in range(0, len(digits), 4))


def _kept(content: str, media_type: str, *, for_good: bool = False) -> Response:
    response = Response(content, mimetype=media_type)
    # What a head says never changes; what comes after it does.
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if for_good else "public, max-age=60"
    return response
