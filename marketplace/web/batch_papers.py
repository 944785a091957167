"""A batch's papers: conformity certificates to print, and the page that the code on a tin leads to, for anybody."""

from typing import Any

import segno
from flask import Blueprint, flash, redirect, render_template, url_for
from markupsafe import Markup
from sqlalchemy import select

from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.product import Product
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.linkage_group import LinkageGroup
from marketplace.orders.checkout import households_in
from marketplace.organisations.actor import scoped
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.region import Region
from marketplace.search.detail import FEWEST_SHOWN
from marketplace.supply import conformity_certificate
from marketplace.supply.batch import Batch
from marketplace.supply.conformity_certificate import ConformityCertificate
from marketplace.web import cooperative_batches, form_input
from marketplace.web.permission import needs, permission, public, the_actor

bp = Blueprint("batch_papers", __name__)

permission("cooperative.read", COOPERATIVE="*")
permission("supply.record", COOPERATIVE="clerk director")


@bp.post("/cooperative/batches/<public_id>/certificates")
@needs("supply.record")
def issue(public_id: str) -> Any:
    actor = the_actor()
    batch_id = cooperative_batches.own_batch(public_id, actor).id
    try:
        grams, basis, key = form_input.kilograms("certified"), form_input.given("basis"), form_input.given("idempotency_key")
        row_id = transaction(lambda: conformity_certificate.issue(batch_id, grams, basis, actor=actor, key=key))
    except InvalidInput as error:
        field = str(error.data.get("field", ""))
        return cooperative_batches.page(cooperative_batches.own_batch(public_id, actor), {"certified" if field == "grams" else field: said(error)}), 422
    flash(_("合格证已开出，可以打印。"), "done")
    return redirect(url_for(".certificate", public_id=db.session.get_one(ConformityCertificate, row_id).public_id))


@bp.get("/cooperative/certificates/<public_id>")
@needs("cooperative.read")
def certificate(public_id: str) -> Any:
    row = by_public_id(ConformityCertificate, public_id, scoped(the_actor(), ConformityCertificate))
    batch = db.session.get_one(Batch, row.batch_id)
    return render_template(
        "cooperative/certificate.html",
        row=row,
        basis=_(conformity_certificate.BASES[row.basis]),
        bases={code: _(name) for code, name in conformity_certificate.BASES.items()},
        batch=batch,
        code=_code(batch),
        back=url_for("cooperative_batches.show", public_id=batch.public_id),
    )


@bp.get("/b/<token>")
@public
def trace(token: str) -> Any:
    """Where the contents of a tin come from: harvest, village, group, papers, and the goods of the same origin."""
    batch = by_public_id(Batch, token)
    village = db.session.get_one(Region, batch.village_id)
    seller = db.session.get_one(Organisation, batch.organisation_id)
    licence = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == seller.id)).one_or_none()
    members = households_in([batch.linkage_group_id]).get(batch.linkage_group_id, 0)
    goods = select(Product).where(Product.linkage_group_id == batch.linkage_group_id, Product.origin_id == batch.village_id, Product.state == "ON_SALE")
    return render_template(
        "shop/batch.html",
        batch=batch,
        village=village,
        township=db.session.get_one(Region, village.parent_id),
        seller=seller,
        licence=licence,
        group=db.session.get_one(LinkageGroup, batch.linkage_group_id),
        households=members if members >= FEWEST_SHOWN else None,
        category=_(CATEGORIES[batch.category][0]),
        marked=not batch.gi_faults(village),
        certificates=conformity_certificate.of(batch.id),
        bases={code: _(name) for code, name in conformity_certificate.BASES.items()},
        goods=list(db.session.scalars(goods.order_by(Product.id).limit(12))),
        code=_code(batch),
    )


def _code(batch: Batch) -> Markup:
    """The QR code of the batch's page, drawn into the page itself."""
    address = f"{settings().base_url.rstrip('/')}{url_for('batch_papers.trace', token=batch.public_id)}"
    drawn = segno.make(address, error="m").svg_inline(scale=4, border=2, dark="#24302b", light="#ffffff", svgclass=None, lineclass=None, title=address)
    return Markup(drawn)  # noqa: S704 -- drawn by us, of an address of ours
