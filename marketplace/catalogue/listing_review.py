"""The review of a listing: a clerk edits and submits, the system checks, another person of the operator approves or returns it.

What buyers see was approved as it stands: an edit of a product on sale is kept beside it (``listing_change``) until it is approved too.
"""

from sqlalchemy import select

from marketplace.catalogue import listing_change, listing_check, listing_content
from marketplace.catalogue.listing_change import ListingChange
from marketplace.catalogue.listing_content import Content
from marketplace.catalogue.product import Product
from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.approval import Approval

INDEX = "search.product"  # the kind of message that search answers to; it lives on a higher rung
APART = ("DRAFT", "RETURNED", "WITHDRAWN")  # nobody sees it: edits are written into it
APPROVED = ("ON_SALE", "SUSPENDED")  # approved as it stands: edits are kept beside it
EDITABLE = (*APART, *APPROVED)


def edit(product_id: int, content: Content, *, version: int, actor: Actor) -> Product:
    """Save what the clerk typed: into a product that is not for sale, which becomes a draft, or beside one that is.

    Raises BadListing with every bad input, Conflict ``version.stale`` or ``listing.state``, NotFound for another cooperative's.
    """
    product = _own(product_id, actor)
    _must_be(product, *EDITABLE)
    change = listing_change.of(product.id)
    if change is not None and change.state == "SUBMITTED":
        raise _state(product)
    content = content.tidy()
    listing_content.must_be_good(content, product)
    product.must_be_version(version)
    if product.state in APPROVED:
        row = listing_change.keep(product, content)
        audit.record("listing.changed", product, person_id=actor.person_id, change_id=row.id if row else None)
    else:
        changed = listing_content.apply(content, product)
        if changed:
            product.state = "DRAFT"
            audit.record("listing.edited", product, person_id=actor.person_id, changed=changed)
    db.session.flush()
    return product


def submit(product_id: int, *, version: int, actor: Actor) -> Product:
    """Hand the product, or the open change of one on sale, to the operator. Raises ListingRefused with every reason, Conflict, NotFound."""
    product = _own(product_id, actor)
    _must_be(product, *EDITABLE)
    product.must_be_version(version)
    if product.state in APPROVED:
        change = listing_change.of(product.id)
        if change is None or change.state == "SUBMITTED":
            raise Conflict("listing.nothing", N_("没有要提交的修改。"))
        listing_check.must_pass(product, change.wanted)
        change.state, change.submitted_by_id, change.submitted_at = "SUBMITTED", actor.person_id, clock.now()
    else:
        listing_check.must_pass(product)
        product.state, product.submitted_by_id, product.submitted_at = "SUBMITTED", actor.person_id, clock.now()
    audit.record("listing.submitted", product, person_id=actor.person_id)
    db.session.flush()
    return product


def take_back(product_id: int, *, version: int, actor: Actor) -> Product:
    """Take what was submitted back to the desk; a change that was not submitted is dropped. What is on sale stays so."""
    product = _own(product_id, actor)
    product.must_be_version(version)
    change = listing_change.of(product.id)
    if product.state == "SUBMITTED":
        product.state = "DRAFT"
    elif change is not None:
        change.state = "DRAFT" if change.state == "SUBMITTED" else "DROPPED"
    else:
        raise _state(product)
    audit.record("listing.taken_back", product, person_id=actor.person_id)
    db.session.flush()
    return product


def withdraw(product_id: int, *, version: int, actor: Actor) -> Product:
    """Take the product off sale for good, or drop a draft. An open change is written into it, for nobody sees it now. Orders stand."""
    product = _own(product_id, actor)
    _must_be(product, "DRAFT", "RETURNED", *APPROVED)
    product.must_be_version(version)
    change = listing_change.of(product.id)
    if change is not None:
        listing_content.apply(change.wanted, product)
        change.state, change.decided_at = "DROPPED", clock.now()
    _index(product)
    product.state = "WITHDRAWN"
    audit.record("listing.withdrawn", product, person_id=actor.person_id)
    db.session.flush()
    return product


def suspend(product_id: int, *, version: int, reason: str, actor: Actor) -> Product:
    """Stop selling for a while: by the cooperative (out of season), or by the operator, who must say why. Orders stand."""
    product = _seen(product_id, actor)
    _must_be(product, "ON_SALE")
    product.must_be_version(version)
    if len(reason.strip()) > 300 or (actor.is_operator and not reason.strip()):
        raise InvalidInput("suspend.reason", N_("请写明暂停销售的理由，300 字以内，合作社看得到。"), field="reason")
    product.state, product.suspended_by_id, product.suspend_reason = "SUSPENDED", actor.organisation_id, reason.strip()
    audit.record("listing.suspended", product, person_id=actor.person_id, by_operator=actor.is_operator)
    _index(product)
    db.session.flush()
    return product


def resume(product_id: int, *, version: int, actor: Actor) -> Product:
    """Sell again what was approved, by whoever suspended it. Raises NotAllowed ``listing.suspended_by``, ListingRefused."""
    product = _seen(product_id, actor)
    _must_be(product, "SUSPENDED")
    product.must_be_version(version)
    if product.suspended_by_id != actor.organisation_id:
        raise NotAllowed("listing.suspended_by", N_("是谁暂停的，由谁恢复。请和对方联系。"))
    listing_check.must_pass(product)
    product.state, product.suspended_by_id, product.suspend_reason = "ON_SALE", None, ""
    audit.record("listing.resumed", product, person_id=actor.person_id)
    _index(product)
    db.session.flush()
    return product


def decide(product_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> Approval:
    """The reviewer's word on a product or on the change of one. Approved, it is what buyers see, at once, and searchable within seconds.

    Raises OwnWork for whoever submitted it, ListingRefused if it no longer passes the checks, Conflict if it is not waiting or changed.
    """
    actor.must_have("OPERATOR", "reviewer")
    product = locked(Product, product_id)
    change = listing_change.of(product.id) if product.state in APPROVED else None
    waits: Product | ListingChange = change if change is not None and change.state == "SUBMITTED" else product
    if waits is product:
        _must_be(product, "SUBMITTED")
    if waits.submitted_by_id is None:
        raise NotAllowed("listing.nobody", N_("不知道是谁提交的，请合作社重新提交。"))
    product.must_be_version(version)
    if approved:
        listing_check.must_pass(product, change.wanted if change is not None else None)
    word = approval.decide(waits, maker_id=waits.submitted_by_id, actor=actor, version=version, approved=approved, reason=reason[:2000])
    if change is not None:
        _decide_change(product, change, approved=approved)
    else:
        product.state = "ON_SALE" if approved else "RETURNED"
        if approved:
            product.listed_at = clock.now()
            product.from_price_fen = min(pack.price_fen for pack in listing_content.packs_of(product))
    if approved:
        _index(product)
    db.session.flush()
    return word


def _decide_change(product: Product, change: ListingChange, *, approved: bool) -> None:
    change.state, change.decided_at = ("APPROVED" if approved else "RETURNED"), clock.now()
    if approved:
        listing_content.must_be_good(change.wanted, product)
        listing_content.apply(change.wanted, product)


def last_word(product_id: int) -> Approval | None:
    """The latest decision on the product, or on a change of it."""
    changes = select(ListingChange.id).where(ListingChange.product_id == product_id)
    query = select(Approval).where(
        ((Approval.subject_type == Product.__tablename__) & (Approval.subject_id == product_id))
        | ((Approval.subject_type == ListingChange.__tablename__) & Approval.subject_id.in_(changes))
    )
    return db.session.scalars(query.order_by(Approval.id.desc()).limit(1)).one_or_none()


def _own(product_id: int, actor: Actor) -> Product:
    return own_row(Product, product_id, actor, "clerk", "director")


def _seen(product_id: int, actor: Actor) -> Product:
    """The product, for its own clerk or for the operator's reviewer or administrator."""
    if not actor.is_operator:
        return _own(product_id, actor)
    actor.must_have("OPERATOR", "reviewer", "administrator")
    return locked(Product, product_id)


def _must_be(product: Product, *states: str) -> None:
    if product.state not in states:
        raise _state(product)


def _state(product: Product) -> Conflict:
    return Conflict("listing.state", N_("这件商品现在不能这样办，可能已经有人办过。请刷新后再看。"), state=product.state)


def _index(product: Product) -> None:
    outbox.put(INDEX, str(product.id), {"product_id": product.id})
