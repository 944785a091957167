"""How a bank wants its file and says what became of it: every layout writes what is read back, holds no formula, and is frozen with its batch."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.sheet import first_sheet
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.organisations.person import Person
from marketplace.settlement import (
    payout_batch,
    payout_file,
    payout_form,
    payout_layout,
    payout_part,
    payout_preset,
    payout_results,
)
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_file import Row, Total
from marketplace.settlement.payout_form import Column, Form
from marketplace.settlement.payout_results import PayoutResults
from tests import builders
from tests.builders import Market
from tests.settlement.test_payout_batch import posted

ROWS = [
    Row(n, name, "36092519900101000X", "靖安农商银行", f"62284800000000000{n:02d}", 100 * n + 5, "2026-10 联农收益发放到户的补助", "中源乡", "三坪村", "DF1", f"DF1_{n}", f"ZY-{n}")
    for n, name in enumerate(("王小花", "=1+1", "李四|五", '赵"六', "钱,七"), 1)
]  # fmt: skip
SEVERAL = {**{code: form for code, (_name, _what, form) in payout_preset.PRESETS.items()}}
SEVERAL |= {
    "fen in a workbook": replace(SEVERAL["postal"], money="fen", total="first"),
    "tabs and a foot": replace(SEVERAL["rural"], separator="\t", total="last"),
    "an apostrophe": replace(SEVERAL["card"], account="apostrophe", total="first"),
    "no heading": replace(SEVERAL["rural"], heading=False, total="last"),
}


def fitting(form: Form) -> list[Row]:
    wrong = {each.sequence for each in payout_file.unwritable(ROWS, form)}
    return [row for row in ROWS if row.sequence not in wrong]


@pytest.mark.parametrize("name", SEVERAL)
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    form = payout_form.form_of(payout_form.checked(SEVERAL[name]).kept())
    assert form == SEVERAL[name]
    rows = fitting(form)
    path = tmp_path / "file"
    path.write_bytes(b"".join(payout_file.chunks(rows, form, Total(len(rows), sum(row.fen for row in rows)))))
    assert list(payout_file.read_back(path, form)) == [(row.name, row.account, row.fen) for row in rows]


@pytest.mark.parametrize("name", SEVERAL)
def test_no_layout_writes_a_formula(name: str) -> None:
    form = SEVERAL[name]
    wild = replace(ROWS[0], name="=HYPERLINK(1)", bank="@SUM", purpose="+1", township="-1", village="＝1", code="=2", id_number="\t=3", account="=4")
    form = replace(form, columns=(*form.columns, Column("text", "=A1" if form.heading else "", "=B1")))
    if form.separator == "\t":  # a tab in a value is refused there, before anything is written
        assert [each.value for each in payout_file.unwritable([wild], form)] == ["id_number"]
        wild = replace(wild, id_number="=3")
    content = payout_file.write([wild], form)
    if form.kind == "xlsx":
        assert b"<f>" not in content
        assert "=HYPERLINK(1)" in [cell for row in first_sheet(content) for cell in row], "text stays what it is, and is text"
    else:
        separator = form.separator
        cells = [cell.strip('"') for line in content.decode(form.encoding).split("\r\n") for cell in line.split(separator)]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "＝"))]


def test_a_remark_is_cut_and_amounts_are_in_the_banks_unit() -> None:
    lines = payout_file.lines([ROWS[0]], SEVERAL["agricultural"], Total(1, 105))
    assert lines == [["1", "105"], ["1", "6228480000000000001", "王小花", "105", "CNY", "2026-10 联农收益发放到户的补助", "DF1"]]
    assert payout_file.lines([ROWS[0]], replace(SEVERAL["agricultural"], remark=7), None)[0][5] == "2026-10"
    assert payout_file.write([ROWS[0]], SEVERAL["card"]).startswith(b"\xef\xbb\xbf")
    assert payout_file.write(ROWS, SEVERAL["card"]).count(b"\xef\xbb\xbf") == 1
    assert payout_file.lines([ROWS[0]], SEVERAL["card"], Total(1, 105))[-1] == ["合计 1 笔", "", "", "", "", "", "", "", "1.05", ""]


def test_what_an_encoding_or_a_separator_cannot_hold_is_told_by_name() -> None:
    rows = [replace(ROWS[0], name="李䶮"), ROWS[2], ROWS[3], ROWS[4]]
    told = [(each.sequence, each.name, each.value, each.characters) for each in payout_file.unwritable(rows, SEVERAL["agricultural"])]
    assert told == [(1, "李䶮", "name", "䶮"), (3, "李四|五", "name", "|"), (4, '赵"六', "name", '"')]
    assert list(payout_file.unwritable(rows, SEVERAL["rural"])) == []


COLUMNS = SEVERAL["rural"].columns
BAD: dict[str, Form] = {
    "no account": Form(columns=tuple(column for column in COLUMNS if column.value != "account")),
    "a name twice": Form(columns=(*COLUMNS, Column("name", "户名"))),
    "an unknown value": Form(columns=(*COLUMNS, Column("password", "密码"))),
    "no heading": Form(columns=(*COLUMNS, Column("empty", ""))),
    "a heading of two lines": Form(columns=(*COLUMNS, Column("empty", "a\nb"))),
    "a long heading": Form(columns=(*COLUMNS, Column("empty", "长" * 41))),
    "too many columns": Form(columns=(*COLUMNS, *[Column("empty", "空")] * 20)),
    "another encoding": Form(columns=COLUMNS, encoding="utf-16"),
    "another separator": Form(columns=COLUMNS, separator="x"),
    "minus one row": Form(columns=COLUMNS, most_rows=-1),
    "a remark of nothing": Form(columns=COLUMNS, remark=0),
    "somebody's account": Form(columns=(*COLUMNS, Column("text", "备注", "6222 0000 1111 2222"))),
    "an account in wide digits": Form(columns=(*COLUMNS, Column("text", "备注", "６２２２００００１１１１"))),
    "fixed words where the bank reads the account": Form(columns=(*COLUMNS, Column("text", "收款 账号", "见附件"))),
    "another value where the bank reads the name": Form(columns=tuple(replace(column, heading="收款户名") if column.value == "bank" else column for column in COLUMNS)),
    "the name where the bank reads the account": Form(columns=tuple(replace(column, heading="卡号") if column.value == "name" else column for column in COLUMNS)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_layout_by_which_nobody_is_paid_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"layout\."):
        payout_form.checked(BAD[name])


@pytest.mark.both
def test_layouts_are_the_accountants_and_every_change_is_written_down(app: Flask) -> None:
    market = builders.market()
    row = transaction(lambda: payout_layout.add("邮储 中源支行", SEVERAL["postal"], actor=market.accountant))
    with pytest.raises(InvalidInput, match=r"layout\.known"), transaction():
        payout_layout.add("邮储  中源支行", SEVERAL["rural"], actor=market.accountant)
    with pytest.raises(NotAllowed), transaction():
        payout_layout.add("农商行", SEVERAL["rural"], actor=market.director)
    other = builders.market(name="宝峰油茶合作社")
    transaction(lambda: payout_layout.add("邮储 中源支行", SEVERAL["rural"], actor=other.accountant))
    with pytest.raises(NotFound), transaction():
        payout_layout.change(row.id, actor=other.accountant, version=1, name="别家的")
    changed = transaction(lambda: payout_layout.change(row.id, actor=market.accountant, version=1, form=replace(row.its_form, most_rows=200)))
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        payout_layout.change(row.id, actor=market.accountant, version=1, name="别的")
    assert (changed.its_form.most_rows, changed.its_form.columns) == (200, SEVERAL["postal"].columns)
    written = db.session.query(AuditEvent).filter_by(action="payout_layout.changed").one()
    assert (written.person_id, written.data["changed"]["form"][0]["most_rows"], written.data["changed"]["form"][1]["most_rows"]) == (market.accountant.person_id, 5_000, 200)
    transaction(lambda: payout_layout.retire(row.id, actor=market.accountant, version=2))
    assert payout_layout.offered(market.cooperative) == []
    again = transaction(lambda: payout_layout.add("邮储 中源支行", SEVERAL["rural"], actor=market.accountant))
    assert again.id != row.id


def batch_in(form: Form, answer: payout_form.Answer | None = None) -> tuple[Market, PayoutBatch, int]:
    """A draft of ¥10.00, ¥20.00 and ¥30.00 in a layout, and the layout's id."""
    market, distribution_id = posted()
    layout = transaction(lambda: payout_layout.add("农商行", form, answer=answer, actor=market.accountant))
    return market, transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant, layout_id=layout.id)), layout.id


def send(market: Market, row: PayoutBatch) -> PayoutBatch:
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=row.version))
    return transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))


@pytest.mark.both
def test_a_changed_layout_leaves_a_batch_alone(app: Flask) -> None:
    market, row, layout_id = batch_in(SEVERAL["rural"])
    transaction(lambda: payout_layout.change(layout_id, actor=market.accountant, version=1, form=replace(SEVERAL["rural"], money="fen")))
    assert payout_layout.form_of(row) == SEVERAL["rural"], "what the director looks at does not change meanwhile"
    transaction(lambda: payout_batch.use_layout(row.id, layout_id, actor=market.accountant, version=1))
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        payout_batch.approve(row.id, actor=market.director, version=1)
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=2))
    _, before = transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    assert ",1000," in before.decode("gb18030"), "what was taken over before the approval counts"
    transaction(lambda: payout_layout.change(layout_id, actor=market.accountant, version=2, form=SEVERAL["agricultural"]))
    with pytest.raises(Conflict, match=r"payout\.state"), transaction():
        payout_batch.use_layout(row.id, None, actor=market.accountant, version=row.version)
    name, after = transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    assert (after, name) == (before, f"{row.number}.csv")
    row = transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))
    assert [fen for *_, fen in payout_part.payees(row)] == [1_000, 2_000, 3_000], "it is read by the form that it was written in"


@pytest.mark.both
def test_a_bound_on_payments_makes_several_files_each_frozen(app: Flask) -> None:
    market, row, _ = batch_in(replace(SEVERAL["card"], most_rows=2))
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    parts = payout_part.parts_of(row.id)
    assert [(part.part, part.first, part.last, part.rows, part.fen) for part in parts] == [(1, 1, 2, 2, 3_000), (2, 3, 3, 1, 3_000)]
    names = [transaction(lambda part=part: payout_batch.bank_file(row.id, actor=market.director, part=part))[0] for part in (1, 2)]  # type: ignore[misc]
    assert names == [f"{row.number}-1.csv", f"{row.number}-2.csv"]
    with pytest.raises(NotFound), transaction():
        payout_batch.bank_file(row.id, actor=market.director, part=3)
    # Neither a file in another's place nor a part taken away passes.
    with transaction():
        stolen = payout_part.parts_of(row.id)[1]
        kept, stolen.file_id = stolen.file_id, payout_part.parts_of(row.id)[0].file_id
    with pytest.raises(Conflict, match=r"payout\.altered"), transaction():
        payout_batch.mark_sent(row.id, actor=market.accountant)
    with transaction():
        payout_part.parts_of(row.id)[1].file_id = kept
    with transaction():
        db.session.delete(payout_part.parts_of(row.id)[1])
    with pytest.raises(Conflict, match=r"payout\.altered"), transaction():
        payout_batch.mark_sent(row.id, actor=market.accountant)


@pytest.mark.both
def test_a_name_that_does_not_go_in_stops_the_approval_by_name(app: Flask) -> None:
    market, row, _ = batch_in(SEVERAL["agricultural"])
    with transaction():
        home = db.session.get_one(Household, market.households[1])
        home.name = "李䶮"
    with pytest.raises(Conflict) as refused:
        transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    assert (refused.value.code, refused.value.data["count"], refused.value.data["list"]) == ("payout.unwritable", 1, "2 李** “䶮”")
    db.session.rollback()
    assert (db.session.get_one(PayoutBatch, row.id).state, payout_part.parts_of(row.id)) == ("DRAFT", [])
    transaction(lambda: payout_batch.use_layout(row.id, None, actor=market.accountant, version=1))
    row = transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=2))
    assert "李䶮" in transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))[1].decode("gb18030")


def accounts(row: PayoutBatch) -> list[tuple[str, str]]:
    return [(name, account) for _sequence, name, account, _fen in payout_part.payees(row)]


def take(market: Market, row: PayoutBatch, *lines: str) -> PayoutResults:
    content = "\r\n".join(lines).encode("gb18030")
    return transaction(lambda: payout_results.receive(row.id, content, name="回盘.csv", actor=market.accountant))


def states(row: PayoutBatch) -> list[tuple[str, str]]:
    db.session.rollback()
    return [(item.state, item.reason) for item in payout_batch.items_of(row.id)]


@pytest.mark.both
def test_a_banks_own_results_are_read_by_its_words_and_stars(app: Flask) -> None:
    market, row, _ = batch_in(SEVERAL["rural"])
    row = send(market, row)
    (one, first), (_two, second), (three, _third) = accounts(row)
    kept = take(
        market, row, "代发业务处理结果", "批次流水号,序号,户名,账号,交易金额（元）,交易状态,返回信息",
        f"20261126000017,1,{one[0]}**,{first},10.00,交易成功,", f"20261126000017,2,,{second[:4]}****{second[-4:]},20.00,可疑,等核心返回",
        f"20261126000017,3,{three},,30.00,失败,户名不符", "合计,,,,60.00,,",
    )  # fmt: skip
    assert kept.lines == 3
    looked = payout_results.looked_at(kept, 10)
    assert ([line.change for line in looked.lines], looked.missing) == (["paid", "unknown", "returned"], 0)
    changed = transaction(lambda: payout_results.apply(kept.id, actor=market.accountant))
    assert (changed.paid, changed.returned, changed.unknown) == (1, 1, 1)
    assert states(row) == [("paid", ""), ("unknown", "等核心返回"), ("returned", "户名不符")]
    assert (balance.held("in_transit", market.cooperative), db.session.get_one(PayoutBatch, row.id).state) == (2_000, "SENT")
    since = payout_batch.items_of(row.id)[1].unknown_since
    assert since is not None
    # The bank still does not know: nothing changes, and it waits since it was first said. Then it knows.
    second_file = take(market, row, "序号,账号,金额,状态,原因", f"2,{second},20.00,处理中,", f"1,{first},10.00,成功,")
    assert len(transaction(lambda: payout_results.apply(second_file.id, actor=market.accountant))) == 0
    assert payout_batch.items_of(row.id)[1].unknown_since == since
    third_file = take(market, row, "序号,账号,金额,状态,原因", f"2,{second},20.00,已入账,")
    assert transaction(lambda: payout_results.apply(third_file.id, actor=market.accountant)).paid == 1
    assert (states(row)[1], db.session.get_one(PayoutBatch, row.id).state) == (("paid", ""), "DONE")
    assert (balance.held("in_transit", market.cooperative), balance.held("bank", market.cooperative)) == (0, -3_000)


def test_results_without_our_sequence_are_told_by_the_account(app: Flask) -> None:
    market, row, _ = batch_in(SEVERAL["agricultural"], payout_form.answer("fen"))
    row = send(market, row)
    (_, first), (_, second), (_, third) = accounts(row)
    heading = "卡号|户名|金额|处理结果|备注"
    lines = [f"{third}||3000|成功|", f"{first}||1000|退回|销户", f"{second}||2000|成功|"]
    kept = take(market, row, "3|6000", heading, *lines)
    transaction(lambda: payout_results.apply(kept.id, actor=market.accountant))
    assert states(row) == [("returned", "销户"), ("paid", ""), ("paid", "")]
    with pytest.raises(InvalidInput, match=r"results\.bad") as refused:
        take(market, row, heading, "6228000099998888||1000|成功|")
    assert refused.value.data["errors"] == ["2: 账号尾号 8888 不在这一批里"]


def test_an_altered_file_is_refused_whole_with_the_row_named(app: Flask) -> None:
    market, row, _ = batch_in(SEVERAL["rural"])
    row = send(market, row)
    (one, first), (two, second), _ = accounts(row)
    heading = "序号,户名,账号,金额,结果,原因"
    for line, says in (
        (f"1,{one},{first},90.00,成功,", "2: 金额 90.00 和发出的 10.00 不同"),
        (f"1,赵改名,{first},10.00,成功,", f"2: 第 1 笔的户名 赵** 和发出的 {masked_name(one)} 不同"),
        (f"1,{one},6228000099998888,10.00,成功,", f"2: 第 1 笔的账号尾号 8888 和发出的 {first[-4:]} 不同"),
        (f"2,{two},{second},20.00,成功,本批为 DF20260101-ABCDEFGHJK", f"2: 批号 DF20260101-ABCDEFGHJK 不是这一批 {row.number}"),
        (f"1,{one},{first},10.00,,", "2: 结果  不认识"),
    ):
        with pytest.raises(InvalidInput, match=r"results\.bad") as refused:
            take(market, row, heading, line, f"3,,{accounts(row)[2][1]},30.00,成功,")
        assert refused.value.data["errors"] == [says]
    assert (db.session.query(PayoutResults).count(), balance.held("in_transit", market.cooperative)) == (0, 6_000)


def test_another_batchs_file_is_refused_and_one_row_missing_is_told(app: Flask) -> None:
    market, row, _ = batch_in(SEVERAL["rural"])
    row = send(market, row)
    came_back = take(market, row, "序号,账号,金额,结果,原因", f"3,{accounts(row)[2][1]},30.00,退票,销户")
    transaction(lambda: payout_results.apply(came_back.id, actor=market.accountant))
    again = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    assert again.layout_id == row.layout_id
    again = send(market, again)
    lines = ["序号,账号,金额,结果,原因", f"1,{accounts(row)[0][1]},10.00,成功,"]
    kept = take(market, row, *lines)
    looked = payout_results.looked_at(kept, 10)
    assert (looked.missing, [item.sequence for item in looked.first_missing]) == (1, [2])
    with pytest.raises(InvalidInput, match=r"results\.elsewhere") as refused:
        take(market, again, *lines)
    assert refused.value.data["number"] == row.number


@pytest.mark.both
def test_a_heading_and_a_word_that_nobody_knows_are_asked_about_once(app: Flask) -> None:
    market, row, layout_id = batch_in(SEVERAL["rural"])
    row = send(market, row)
    (_, first), (_, second), (_, third) = accounts(row)
    lines = ["编码,收方,数额,标志,说明", f"1,{first},10.00,S,", f"2,{second},20.00,F,户名不符", f"3,{third},30.00,P,"]
    kept = take(market, row, *lines)
    assert (kept.lines, balance.held("in_transit", market.cooperative)) == (0, 6_000)
    asked = payout_results.asked(kept)
    assert (asked.heading, asked.top[0][1][:2], asked.words) == (1, ["编码", "收方"], {})
    columns = {"sequence": 0, "account": 1, "amount": 2, "result": 3, "reason": 4}
    with pytest.raises(InvalidInput, match=r"answer\.columns"):
        transaction(lambda: payout_results.answer(kept.id, columns={"sequence": 0, "amount": 2, "result": 3}, heading=1, actor=market.accountant))
    kept = transaction(lambda: payout_results.answer(kept.id, columns=columns, heading=1, actor=market.accountant))
    assert (kept.lines, payout_results.asked(kept).words) == (0, {"S": 1, "F": 1, "P": 1})
    with pytest.raises(NotAllowed), transaction():
        payout_results.answer(kept.id, words={"S": "paid"}, actor=market.clerk)
    kept = transaction(lambda: payout_results.answer(kept.id, words={"S": "paid", "F": "refused", "P": "unknown"}, actor=market.accountant))
    assert kept.lines == 3
    transaction(lambda: payout_results.apply(kept.id, actor=market.accountant))
    assert states(row) == [("paid", ""), ("returned", "户名不符"), ("unknown", "P")]
    assert db.session.get_one(payout_layout.PayoutLayout, layout_id).its_answer.columns["result"] == "标志"
    # The next file of this bank asks nothing.
    assert take(market, row, lines[0], f"3,{third},30.00,S,").lines == 1


def test_a_batch_without_a_layout_gets_one_when_its_results_are_explained(app: Flask) -> None:
    market, distribution_id = posted()
    row = send(market, transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant)))
    first = accounts(row)[0][1]
    kept = take(market, row, "序号,账号,金额,结果", f"1,{first},10.00,划付完成")
    assert payout_results.asked(kept).words == {"划付完成": 1}
    kept = transaction(lambda: payout_results.answer(kept.id, words={"划付完成": "paid"}, actor=market.director))
    row = db.session.get_one(PayoutBatch, row.id)
    assert (kept.lines, [each.id for each in payout_layout.offered(market.cooperative)]) == (1, [row.layout_id])


@pytest.mark.both
def test_the_command_line_takes_no_part_for_the_whole(app: Flask, tmp_path: Path) -> None:
    market, row, _ = batch_in(replace(SEVERAL["card"], most_rows=2))
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    login = db.session.get_one(Person, market.accountant.person_id).login
    out = tmp_path / "out.csv"
    asked = ["payout", "export", row.number, "--out", str(out), "--actor", login]
    refused = app.test_cli_runner().invoke(args=asked)
    assert (refused.exit_code, "2 files" in refused.output, out.exists()) == (1, True, False)
    assert app.test_cli_runner().invoke(args=[*asked, "--part", "2"]).exit_code == 0
    assert out.read_bytes().decode("utf-8-sig").splitlines()[1].split(",")[0] == "3"
