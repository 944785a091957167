"""Pictures that cooperatives brought, to whoever looks at the goods. An address always means the same bytes, so browsers keep them."""

from typing import Any

from flask import Blueprint, Response, request

from marketplace.catalogue import picture
from marketplace.foundation.database import db
from marketplace.web.permission import public

bp = Blueprint("pictures", __name__)


@bp.get("/pictures/<public_id>-<int:size>.<form>")
@public
def show(public_id: str, size: int, form: str) -> Any:
    stored = picture.file_of(public_id, f"{size}.{form}")
    response = Response(content_type=stored.media_type)
    response.set_etag(stored.sha256)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if stored.sha256 not in request.if_none_match:
        response.data = stored.read()
    db.session.rollback()
    return response.make_conditional(request)
