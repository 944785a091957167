"""Documents as PDF files, to print, send and file: a benefit receipt, the village board's notice, a unit's payment letter.

Each says what its page says, to whom the page may be shown. Texts of people and goods go in as data, never as typesetting.
"""

from typing import Any

import cn2an
import segno
from flask import Blueprint, Response, url_for
from sqlalchemy import select

from marketplace.disclosure import benefit_receipt, log_key, tree_head
from marketplace.disclosure.benefit_receipt import BenefitReceipt, GroupPart
from marketplace.foundation import audit, clock, document
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_, language, text
from marketplace.foundation.language import gettext as _
from marketplace.notices.public_notice import PublicNotice
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.actor import scoped
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.web.distribution import own
from marketplace.web.limits import limiter
from marketplace.web.permission import needs, public, the_actor
from marketplace.web.shown import day, money
from marketplace.web.slip import villages_of

bp = Blueprint("documents", __name__)


@bp.get("/r/<token>/receipt.pdf")
@limiter.limit("60 per minute")
@public
def receipt(token: str) -> Response:
    row, head = benefit_receipt.for_token(token), tree_head.newest()
    address = settings().base_url.rstrip("/") + url_for("receipt.benefit", token=token)
    sentences, tokens = [_("印这张凭证时，总账还没有封存过。")], []
    if head:
        told = {"number": head.number, "day": day(head.at), "n": f"{head.size:,}"}
        sentences = [
            _("印这张凭证时，总账最新的封存是 #%(number)s（%(day)s，%(n)s 条记录），指纹：", **told),
            _("请收好。用它们可以查出总账以后有没有被改过。"),
        ]
        tokens = [head.short, log_key.written(tree_head.origin_of(head), tree_head.key_of(head).public_key)]
    data = {
        "title": _("受益凭证"),
        "subtitle": f"{text(row, 'cooperative')} · {day(row.placed_at)}",
        "stamp": _("账已证明") if row.seal else "",
        "money": [[_("货款"), money(row.goods_fen)], *_if(_("运费"), row.freight_fen), *_if(_("已退款"), row.refunded_fen)],
        "divided_title": _("钱是这样分的") if row.settled else _("钱将这样分"),
        "divided": [
            [_("农户"), money(row.now.pool_fen)],
            [_("村集体"), money(row.now.village_fen)],
            [_("防贫基金"), money(row.now.fund_fen)],
            [_("合作社"), money(row.now.cooperative_fen)],
            *_if(_("分账后退款收回"), row.given_back.total_fen),
        ],
        "groups": [_group(row, each) for each in row.groups],
        "proof": {"title": _("在网上查看、核对"), "sentences": sentences, "tokens": tokens},
        "qr": _code(address),
        "address": address,
        "limits": _("本凭证说明账目记录和去向；钱是否到户，以银行回单和农户自己的回答为准。"),
    }
    return _file("receipt", data, "receipt.pdf")


@bp.get("/distributions/<public_id>/board.pdf")
@needs("slip.print")
def board(public_id: str) -> Response:
    """What hangs on the village boards: names masked, a page a village."""
    actor = the_actor()
    row = own(public_id, actor)
    row.must_be("PUBLISHED", "POSTED")
    owner, notice = db.session.get_one(Organisation, row.organisation_id), db.session.get_one(PublicNotice, row.notice_id)
    note = _("公示到 %(day)s。有异议请在这之前告诉合作社或县运营方，答复之前钱不会发放。", day=day(notice.ends_on))
    data = {
        "title": _("%(period)s 收益分配，村务公示", period=row.period),
        "subtitle": f"{text(owner, 'name')} {owner.phone or ''}".strip(),
        "columns": ["", _("户主"), _("金额")],
        "total": _("合计"),
        "note": note + (" " + _("（日期暂定）") if notice.is_provisional else ""),
        "villages": [
            {
                "name": text(village, "name"),
                "rows": [[_("农户"), _("%(n)s 户", n=len(households))]],
                "households": [[name, money(fen)] for name, fen in households],
                "total": money(sum(fen for _name, fen in households)),
            }
            for village, households in villages_of(row)
        ],
    }
    row_id = row.id
    transaction(lambda: audit.record("distribution.board_printed", own(public_id, actor), person_id=actor.person_id, distribution_id=row_id))
    return _file("board", data, f"{row.period}-board.pdf")


@bp.get("/unit/orders/<public_id>/payment-letter.pdf")
@needs("unit.read")
def payment_letter(public_id: str) -> Response:
    """What a unit's accountant pays on: to whom, how much in words, and the remark by which the receipt is recognised."""
    row: DirectedOrder = by_public_id(DirectedOrder, public_id, scoped(the_actor(), DirectedOrder, "organisation_id"))
    order = db.session.get_one(Order, row.order_id)
    fen = order.open_fen
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == row.cooperative_id)).one_or_none()
    if row.approval != "CONFIRMED" or seller is None or not fen:
        raise Conflict("payment_letter.none", N_("这张采购单现在没有要付的钱，没有付款函。"))
    unit, cooperative = db.session.get_one(Organisation, row.organisation_id), db.session.get_one(Organisation, row.cooperative_id)
    data = {
        "title": _("付款函"),
        "subtitle": f"{text(unit, 'name')} · {row.reference}",
        "amount": money(fen),
        "words": cn2an.an2cn(f"{fen // 100}.{fen % 100:02d}", "rmb"),
        "sentence": _("请按下面的账号付款。附言写上编号，合作社会计当天就能认出这笔款。"),
        "rows": [
            [_("收款单位"), cooperative.name_zh],
            [_("开户行"), seller.bank_name],
            [_("账号"), seller.bank_account],
            [_("附言请写"), row.reference],
            [_("付款期限"), day(row.pay_by)],
        ],
        "columns": [_("商品"), _("件数"), _("金额")],
        "lines": [[line.name_zh, str(line.quantity), money(line.goods_fen)] for line in lines_of(order.id)],
        "freight": _if(_("运费"), order.freight_fen),
        "less": [*_if(_("短缺和扣减"), order.goods_fen + order.freight_fen - order.due_fen), *_if(_("已付"), order.paid_fen - order.short_fen)],
        "total": _("应付"),
        "qr": _code(f"{settings().base_url.rstrip('/')}{url_for('unit_orders.show', public_id=public_id)}"),
        "signed": _("%(day)s 由靖安集按采购单生成", day=day(clock.now())),
    }
    return _file("payment_letter", data, f"{row.reference}.pdf")


def _group(row: BenefitReceipt, part: GroupPart) -> dict[str, Any]:
    households = _("%(n)s 户", n=part.households) if part.households else _("不足 5 户，不单独公布")
    return {
        "title": text(part, "name") if part.name_zh else _("联农组（合并）"),
        "rows": [
            [_("农户"), households],
            [_("已分账") if row.settled else _("承诺"), money(part.settled_fen if row.settled else part.promised_fen)],
            *_if(_("退款收回"), part.given_back_fen),
            [_("已分到各户名下"), money(part.distributed_fen)],
            [_("已发给农户"), money(part.paid_fen)],
        ],
    }


def _if(label: str, fen: int) -> list[list[str]]:
    return [[label, money(fen)]] if fen else []


def _code(address: str) -> str:
    return segno.make(address, error="m").svg_inline(scale=4, border=1)


def _file(name: str, data: dict[str, Any], called: str) -> Response:
    frame = {
        "market": _("靖安集"),
        "seal": "靖",
        "language": "en" if language() == "en" else "zh",
        "foot": f"{_('靖安县消费帮扶市场')} · {_('合作社直接收款，平台不经手资金')}",
    }
    response = Response(document.pdf(name, frame | data), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f"inline; filename={called}"
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
