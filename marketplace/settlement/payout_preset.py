"""Forms to begin with. Banks change their templates, and each branch has its own: a preset is a start, the bank's template is the rule."""

from marketplace.foundation.language import N_
from marketplace.settlement.payout_form import Column, Form

# code → (what it is called, what it is like, the form)
PRESETS: dict[str, tuple[str, str, Form]] = {
    "rural": (
        N_("农村商业银行"), N_("CSV，GB18030，九列，有身份证号和乡镇、村。"),
        Form(
            columns=(
                Column("sequence", "序号"), Column("name", "姓名"), Column("id_number", "身份证号"), Column("bank", "开户行"), Column("account", "账号"),
                Column("amount", "金额（元）"), Column("purpose", "用途"), Column("township", "乡镇"), Column("village", "村"),
            ),
        ),
    ),
    "postal": (
        N_("邮政储蓄银行"), N_("Excel 工作簿，一个文件最多 5,000 笔，备注最长 10 个字。"),
        Form(
            columns=(
                Column("sequence", "序号"), Column("account", "收款账号"), Column("name", "收款户名"), Column("amount", "金额"), Column("purpose", "备注"),
                Column("reference", "企业流水号"),
            ),
            kind="xlsx", most_rows=5_000, remark=10,
        ),
    ),
    "agricultural": (
        N_("农业银行"), N_("文本，竖线分隔，GBK，没有表头，第一行是笔数和总金额，金额以分计。"),
        Form(
            columns=(
                Column("sequence", ""), Column("account", ""), Column("name", ""), Column("amount", ""), Column("text", "", "CNY"), Column("purpose", ""),
                Column("number", ""),
            ),
            money="fen", encoding="gbk", separator="|", heading=False, total="first", most_rows=10_000, remark=20,
        ),
    ),
    "card": (
        N_("惠农一卡通"), N_("CSV，UTF-8，账号当作文字，最后一行合计，给乡镇财政所核对。"),
        Form(
            columns=(
                Column("sequence", "序号"), Column("township", "乡镇"), Column("village", "村"), Column("code", "户编号"), Column("name", "户主姓名"),
                Column("id_number", "身份证号码"), Column("bank", "开户银行"), Column("account", "一卡通账号"), Column("amount", "补贴金额（元）"),
                Column("purpose", "补贴项目"),
            ),
            encoding="utf-8-sig", total="last", account="tab",
        ),
    ),
}  # fmt: skip
FIRST = "rural"  # what is used where nobody chose


def form(code: str) -> Form:
    """The preset's form. KeyError for an unknown code."""
    return PRESETS[code][2]
