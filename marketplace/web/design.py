"""The living guide to the design language: every component as the pages use it, with invented figures. It reads nothing."""

from typing import Any

from flask import Blueprint, render_template

from marketplace.foundation import clock
from marketplace.web.permission import public

bp = Blueprint("design", __name__)


@bp.get("/design")
@public
def language() -> Any:
    return render_template("design/language.html", now=clock.now())
