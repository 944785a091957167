"""Which orders a receipt pays, where no proposal is right: a treasury pays for a school, one transfer pays five orders.

All that is owed over the bank, to be searched and chosen from; what is matched is matched by the same door and undone the same way.
"""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import by_public_id, db, new_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.organisations.actor import scoped
from marketplace.payments import bank_match
from marketplace.payments.bank_statement import BankReceipt
from marketplace.web import form_input
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money
from marketplace.web.unit_seller import match_chosen

bp = Blueprint("receipt_orders", __name__, url_prefix="/cooperative/bank/receipts")

permission("bank.match", COOPERATIVE="accountant")

PAGE = 25


@bp.get("/<public_id>/orders")
@needs("bank.match")
def index(public_id: str) -> Any:
    return _page(_own(public_id), {})


@bp.post("/<public_id>/orders")
@needs("bank.match")
def match(public_id: str) -> Any:
    """What the accountant chose; while something is left of the receipt, the next order is chosen on the same page."""
    number = _own(public_id).id
    try:
        fen = match_chosen(number, the_actor())
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _page(_own(public_id), {form_input.given("order"): said(error)}), 409 if isinstance(error, Conflict) else 422
    left = _own(public_id).left_fen
    flash(_("已核销 %(fen)s，这笔到账还剩 %(left)s。", fen=money(fen), left=money(left)) if left else _("已核销，这笔到账都有着落了。"), "done")
    return redirect(url_for(".index", public_id=public_id) if left else url_for("unit_seller.bank"), 303)


def _own(public_id: str) -> BankReceipt:
    row: BankReceipt = by_public_id(BankReceipt, public_id, scoped(the_actor(), BankReceipt))
    return row


def _page(row: BankReceipt, errors: dict[str, str]) -> str:
    actor, words = the_actor(), request.values.get("q", "").strip()[:60]
    owed = bank_match.owed_to(actor, words) if row.left_fen else []
    begins = {each.public_id: place for place, each in enumerate(owed, 1)}.get(request.args.get("after", ""), 0)
    # What was just refused stays in sight, wherever it stands.
    shown = [each for each in owed if each.public_id in errors] or owed[begins : begins + PAGE]
    more = not errors and len(owed) > begins + PAGE
    return render_template(
        "bank/receipt_orders.html",
        row=row,
        rows=[(each, format_yuan(min(each.open_fen, row.left_fen))) for each in shown],
        words=words,
        typed=request.form.get("amount", ""),
        errors=errors,
        key=new_public_id(),
        said=_("共 %(n)s 张欠款的单", n=len(owed)) if owed else "",
        next_url=url_for(".index", public_id=row.public_id, q=words or None, after=shown[-1].public_id) if more else None,
        crumbs=[(_("对公到账"), url_for("unit_seller.bank")), (_("选单核销"), None)],
        **desk(actor),
    )
