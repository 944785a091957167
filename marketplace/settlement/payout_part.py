"""The files of an approved payout batch: as many as the bank's bound on payments in a file asks for, each frozen by its SHA-256.

The batch's own hash is its file's; of several, the hash of their hashes in order.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import files
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.foundation.language import N_
from marketplace.settlement import payout_file, payout_form, payout_item, payout_layout
from marketplace.settlement.payout_file import Total, Unwritable
from marketplace.settlement.payout_form import Form
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

TOLD = 20  # values that do not go into the file, by name
FIRST_LINES = 3  # payments that whoever approves sees as the bank will


class PayoutPart(Identified, Model):
    """One file: payments ``first`` to ``last`` of the batch, ``rows`` of them, ``fen`` in all."""

    __tablename__ = "payout_part"
    __table_args__ = (UniqueConstraint("batch_id", "part"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"))
    part: Mapped[int]
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    fen: Mapped[int]
    first: Mapped[int]
    last: Mapped[int]


def freeze(batch: PayoutBatch, purpose: str) -> str:
    """Write the batch's files once, in the form that its draft kept; the hash that it is frozen by. Conflict ``payout.unwritable``."""
    form = payout_form.checked(payout_layout.form_of(batch))
    if not form.holds_everything:
        must_be_writable(batch, form, purpose)
    hashes = []
    for part, first in enumerate(range(1, batch.items + 1, form.rows_a_file), 1):
        last = min(batch.items, first + form.rows_a_file - 1)
        made = _freeze_part(batch, form, purpose, part, first, last)
        hashes.append(made.sha256)
        batch.file_id = made.file_id if part == 1 else batch.file_id
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()


def freeze_whole(batch: PayoutBatch, content: Iterator[bytes], media_type: str) -> str:
    """Keep what is frozen of a batch that goes to no bank as its one file; the hash that it is frozen by."""
    file = files.store_chunks(content, name=batch.number, media_type=media_type, organisation_id=batch.organisation_id, sensitivity="PERSONAL")
    db.session.add(
        PayoutPart(
            organisation_id=batch.organisation_id, batch_id=batch.id, part=1, file_id=file.id, sha256=file.sha256, rows=batch.items,
            fen=batch.total_fen, first=1, last=batch.items,
        )
    )  # fmt: skip
    batch.file_id = file.id
    db.session.flush()
    return file.sha256


def must_be_writable(batch: PayoutBatch, form: Form, purpose: str) -> None:
    """Conflict ``payout.unwritable`` that names whose values the file cannot hold."""
    wrong = list(unwritable(batch, form, purpose))
    if wrong:
        said = "；".join(f"{each.sequence} {each.name} “{each.characters}”" for each in wrong[:TOLD])
        raise Conflict(
            "payout.unwritable", N_("%(count)s 处写不进这家银行的文件：%(list)s。请换一个编码或分隔符的版式，或先改好这一户的资料。"),
            count=len(wrong), list=said, rows=wrong[:TOLD],
        )  # fmt: skip


def unwritable(batch: PayoutBatch, form: Form, purpose: str) -> Iterator[Unwritable]:
    """What the form cannot hold of the batch, names masked."""
    if form.holds_everything:
        return
    for each in payout_file.unwritable(payout_item.file_rows(batch, purpose), form):
        yield Unwritable(each.sequence, masked_name(each.name), each.value, each.characters)


def first_lines(batch: PayoutBatch, purpose: str) -> list[list[str]]:
    """How the file begins, as the bank will read it; of names and numbers, as much as everybody at the cooperative may see."""
    form = payout_layout.form_of(batch)
    shown = [
        replace(row, name=masked_name(row.name), id_number=f"**{last_four(row.id_number)}", account=f"**{last_four(row.account)}")
        for row in payout_item.file_rows(batch, purpose, last=min(batch.items, FIRST_LINES))
    ]
    lines = payout_file.lines(shown, form, Total(batch.items, batch.total_fen))
    return lines[:-1] if form.total == "last" else lines


def parts_of(batch_id: int) -> list[PayoutPart]:
    """A batch's files in order."""
    return list(db.session.scalars(select(PayoutPart).where(PayoutPart.batch_id == batch_id).order_by(PayoutPart.part)))


def frozen(batch: PayoutBatch, part: int | None = None) -> list[tuple[PayoutPart, Path]]:
    """Where the files lie that were approved (or one of them), after their bytes were held against the hashes of the approval.

    Raises Conflict ``payout.unapproved``, ``payout.altered``; NotFound for a part that there is not.
    """
    parts = parts_of(batch.id)
    if not parts or batch.sha256 is None:
        raise Conflict("payout.unapproved", N_("这一批还没有经理事长审批，没有代发文件。"))
    whole = parts[0].sha256 if len(parts) == 1 else hashlib.sha256("".join(f"{each.sha256}\n" for each in parts).encode()).hexdigest()
    if whole != batch.sha256 or batch.file_id != parts[0].file_id:
        raise _altered()
    chosen = [each for each in parts if part in (None, each.part)]
    if not chosen:
        raise NotFound("payout.part", N_("没有找到，或不归您的单位查看。"))
    return [(each, _path(each)) for each in chosen]


def payees(batch: PayoutBatch) -> Iterator[tuple[int, str, str, int]]:
    """(sequence, name, account, fen) of every payment as it was frozen, in order."""
    form = payout_layout.form_of(batch)
    for part, path in frozen(batch):
        for sequence, (name, account, fen) in enumerate(payout_file.read_back(path, form), part.first):
            yield sequence, name, account, fen


def name_of(batch: PayoutBatch, part: PayoutPart) -> str:
    """What the file is called when it is handed out: with its number, if it is one of several."""
    form = payout_layout.form_of(batch)
    ending = "xlsx" if form.kind == "xlsx" else ("csv" if form.separator == "," else "txt")
    return f"{batch.number}.{ending}" if part.rows == batch.items else f"{batch.number}-{part.part}.{ending}"


def media_type(form: Form) -> str:
    """As which the file is sent."""
    if form.kind == "xlsx":
        return payout_file.XLSX
    kind = "text/csv" if form.separator == "," else "text/plain"
    return f"{kind}; charset={'utf-8' if form.encoding == 'utf-8-sig' else form.encoding}"


def _freeze_part(batch: PayoutBatch, form: Form, purpose: str, part: int, first: int, last: int) -> PayoutPart:
    within = (PayoutItem.batch_id == batch.id, PayoutItem.sequence.between(first, last))
    rows, fen = db.session.execute(select(func.count(), func.coalesce(func.sum(PayoutItem.fen), 0)).where(*within)).one()
    total = Total(int(rows), int(fen))
    file = files.store_chunks(
        payout_file.chunks(payout_item.file_rows(batch, purpose, first=first, last=last), form, total),
        name=f"{batch.number}-{part}",
        media_type=media_type(form),
        organisation_id=batch.organisation_id,
        sensitivity="PERSONAL",
    )
    made = PayoutPart(
        organisation_id=batch.organisation_id, batch_id=batch.id, part=part, file_id=file.id, sha256=file.sha256, rows=total.rows, fen=total.fen,
        first=first, last=last,
    )  # fmt: skip
    db.session.add(made)
    db.session.flush()
    return made


def _path(part: PayoutPart) -> Path:
    stored = db.session.get_one(files.StoredFile, part.file_id)
    if stored.sha256 != part.sha256:
        raise _altered()
    return stored.checked_path()


def _altered() -> Conflict:
    return Conflict("payout.altered", N_("代发文件和审批时的不一样，已停止。请联系运营方。"))
