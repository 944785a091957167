"""The form of a listing: what it holds as a content, a content as its inputs, and two contents beside each other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import request

from marketplace.catalogue.listing_content import MOST_TIERS, TEXTS, Content, PackContent
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan
from marketplace.web import form_input
from marketplace.web.shown import grams, money

NEW = "new"  # the key of the inputs of a pack that is to be added
Errors = dict[str, str]


def typed(kept: Content) -> tuple[Content, Errors]:
    """What the form holds, over what is kept: an absent input leaves its value. With it, what is no number or no price."""
    errors: Errors = {}
    texts = {**kept.texts, **{name: request.form[name] for name in TEXTS if name in request.form}}
    months = _number("shelf_life_months", kept.shelf_life_months, errors, N_("保质期请写月数，如 18。"), most=999)
    packs = [_pack(pack, errors) for pack in kept.packs if not request.form.get(f"off-{pack.public_id}")]
    if any(form_input.given(f"{name}-{NEW}") for name in ("name_zh", "price")):
        added = new_pack(errors)
        if added is not None:
            packs.append(added)
    gi_mark = request.form.get("gi_mark") == "1"
    return replace(kept, texts=texts, shelf_life_months=months or 0, gi_mark=gi_mark, packs=tuple(packs)), errors


def new_pack(errors: Errors) -> PackContent | None:
    """The pack that is to be added, or None with its errors."""
    before = len(errors)
    pack = _pack(PackContent(NEW, "", 0, 0), errors)
    if not pack.name_zh:
        errors[f"name_zh-{NEW}"] = _("请写规格的名称，如 50 g 罐。")
    if not pack.price_fen > 0:
        errors.setdefault(f"price-{NEW}", _("价格要大于零，最多 999,999.99 元。"))
    if not pack.net_grams > 0:
        errors.setdefault(f"net_grams-{NEW}", _("净重请写 1 到 100,000 之间的克数。"))
    if len(errors) > before:
        return None
    return PackContent.new(**{name: value for name, value in vars(pack).items() if name != "public_id"})


def _pack(kept: PackContent, errors: Errors) -> PackContent:
    key = kept.public_id
    return replace(
        kept,
        name_zh=request.form.get(f"name_zh-{key}", kept.name_zh).strip(),
        name_en=request.form.get(f"name_en-{key}", kept.name_en).strip(),
        net_grams=_number(f"net_grams-{key}", kept.net_grams, errors, N_("净重请写 1 到 100,000 之间的克数。")) or 0,
        net_ml=_number(f"net_ml-{key}", kept.net_ml, errors, N_("请写毫升数，如 500。")),
        pieces=_number(f"pieces-{key}", kept.pieces, errors, N_("请写朵数，如 20。")),
        price_fen=_fen(f"price-{key}", kept.price_fen, errors),
        tiers=_tiers(kept, errors),
    )


def _tiers(kept: PackContent, errors: Errors) -> tuple[tuple[int, int], ...]:
    key = kept.public_id
    if f"tierfrom-{key}-1" not in request.form:
        return kept.tiers
    tiers = []
    for number in range(1, MOST_TIERS + 1):
        quantity, price = f"tierfrom-{key}-{number}", f"tier-{key}-{number}"
        if form_input.given(quantity) or form_input.given(price):
            tiers.append((_number(quantity, 0, errors, N_("请写从几件起，如 20。")) or 0, _fen(price, 0, errors)))
    return tuple(sorted(tiers))


def _number(name: str, kept: int | None, errors: Errors, message: str, *, most: int = 10**9) -> int | None:
    if name not in request.form:
        return kept
    if not form_input.given(name):
        return None
    try:
        return form_input.whole(name, message, most=most)
    except InvalidInput as error:
        errors[name] = said(error)
        return kept


def _fen(name: str, kept: int, errors: Errors) -> int:
    if name not in request.form:
        return kept
    try:
        return form_input.fen(name)
    except InvalidInput as error:
        errors[name] = said(error)
        return kept or 1  # named already; not to be named a second time as too small


def inputs(content: Content) -> dict[str, str]:
    """The content as the values of the form's inputs."""
    values: dict[str, str] = {**content.texts, "shelf_life_months": str(content.shelf_life_months), "gi_mark": "1" if content.gi_mark else ""}
    for pack in content.packs:
        key = pack.public_id
        values |= {f"{name}-{key}": getattr(pack, name) for name in ("name_zh", "name_en")}
        values |= {f"{name}-{key}": str(getattr(pack, name) or "") for name in ("net_grams", "net_ml", "pieces")}
        values[f"price-{key}"] = format_yuan(pack.price_fen)
        for number, (quantity, fen) in enumerate(pack.tiers, 1):
            values |= {f"tierfrom-{key}-{number}": str(quantity), f"tier-{key}-{number}": format_yuan(fen)}
    return values


def labels() -> Mapping[str, str]:
    """What each part of a listing is called."""
    return {
        "name_zh": _("名称（中文）"), "name_en": _("名称（英文）"), "summary_zh": _("一句话介绍（中文）"), "summary_en": _("一句话介绍（英文）"),
        "story_zh": _("故事（中文）"), "story_en": _("故事（英文）"), "storage_zh": _("存放方法（中文）"), "storage_en": _("存放方法（英文）"),
        "standard_code": _("执行标准"),
    }  # fmt: skip


def differences(before: Content, after: Content) -> list[tuple[str, str, str]]:
    """(what, before, after) of everything that differs, in words."""
    rows = [(label, before.texts.get(name, ""), after.texts.get(name, "")) for name, label in labels().items()]
    rows.append((_("保质期"), _("%(n)s 个月", n=before.shelf_life_months), _("%(n)s 个月", n=after.shelf_life_months)))
    rows.append((_("地理标志"), _mark(before), _mark(after)))
    if before.picture != after.picture:
        rows.append((_("图片"), _("原来的"), _("换了新的")))
    old, new = ({pack.public_id: pack for pack in content.packs} for content in (before, after))
    for key in [*old, *(key for key in new if key not in old)]:
        name = (new.get(key) or old[key]).name_zh
        rows.append((_("规格：%(name)s", name=name), _pack_words(old.get(key)), _pack_words(new.get(key))))
    return [row for row in rows if row[1] != row[2]]


def _mark(content: Content) -> str:
    return _("使用") if content.gi_mark else _("不使用")


def _pack_words(pack: PackContent | None) -> str:
    if pack is None:
        return _("（没有）")
    parts: list[Any] = [pack.name_zh, pack.name_en, grams(pack.net_grams), f"{pack.net_ml} ml" if pack.net_ml else "", money(pack.price_fen)]
    parts += [_("%(n)s 件起 %(price)s", n=quantity, price=money(fen)) for quantity, fen in pack.tiers]
    return " · ".join(part for part in parts if part)
