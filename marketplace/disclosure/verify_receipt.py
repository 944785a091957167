#!/usr/bin/env python3
"""Check a proof of the county market against a tree head and a key that you got ELSEWHERE.

    python3 verify_receipt.py proof.json --head FINGERPRINT-OR-FILE --key KEY [--en]

FINGERPRINT stands on printed slips; FILE is a tree head as auditors get it by e-mail. KEY is the log's public key, from the same
place. Taken from the page that is being checked, they would prove nothing.
Exit code: 0 proven, 1 not proven, 2 called wrongly.
"""

from __future__ import annotations

import argparse
import binascii
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketplace.disclosure.tree_check import (  # in the download, these stand above
    Head,
    Note,
    NotProven,
    canonical,
    commitment,
    entry_leaf,
    inclusion_root,
    leaf_hash,
    must_be_consistent,
    read_key,
)

FORMAT = "county-market-proof-1"

# A sentence that holds: a key of ``WORDS`` and what fills it.
Proven = tuple[str, dict[str, Any]]


def check(proof: dict[str, Any], *, head: str, key: bytes) -> list[Proven]:
    """Everything that ``proof`` proves, given a head (its text or its fingerprint) and a key from elsewhere. NotProven otherwise."""
    try:
        return _check(proof, head, key)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise NotProven("malformed", what=f"{type(error).__name__}: {error}") from error


def _check(proof: dict[str, Any], given: str, key: bytes) -> list[Proven]:
    if proof["format"] != FORMAT:
        raise NotProven("format")
    newest = Head.read(proof["head"])
    proven = _trusted(newest, proof, given, key)
    if "settlement" in proof:
        proven += _settled(proof, newest)
    for each in proof.get("lines", []):
        proven.append(_own_line(each, newest))
    if proof.get("closed"):
        proven.append(("closed", {"lines": _count(proof["closed"])}))
    return proven


def _trusted(newest: Head, proof: dict[str, Any], given: str, key: bytes) -> list[Proven]:
    """The head that was got elsewhere is this proof's, or an older one that this proof's only adds to; signed either way."""
    wanted = (Note.read(given).fingerprint if "\n" in given.strip() else given.replace(" ", "").replace("-", "").strip()).lower()
    if len(wanted) < 16 or any(letter not in "0123456789abcdef" for letter in wanted):
        raise NotProven("fingerprint")
    keys = [key]
    for text in proof.get("keys", []):
        statement = Note.read(text)
        said = dict(line.partition(" ")[::2] for line in statement.body.splitlines()[1:])
        if statement.body.startswith(newest.origin + "/keys\n") and bytes.fromhex(said["from"]) == keys[-1]:
            if not statement.signed_by(keys[-1]):
                raise NotProven("key_statement")
            keys.append(bytes.fromhex(said["to"]))
    if not any(newest.note.signed_by(each) for each in keys):
        raise NotProven("signature")
    told = {"number": newest.number, "size": newest.size, "at": newest.at, "fingerprint": newest.note.fingerprint}
    if newest.note.fingerprint.startswith(wanted):
        return [("head", told)]
    since = proof.get("since") or {"head": proof["head"]}
    older = Head.read(since["head"])
    if not older.note.fingerprint.startswith(wanted):
        raise NotProven("other_head", number=newest.number)
    if older.origin != newest.origin or not any(older.note.signed_by(each) for each in keys):
        raise NotProven("signature")
    must_be_consistent(older.size, older.root, newest.size, newest.root, _hashes(since["consistency"]))
    return [("head", told), ("since", {"older": older.number, "number": newest.number})]


def _included(leaf: bytes, part: dict[str, Any], newest: Head) -> bytes:
    index = part["index"]
    if type(index) is not int or inclusion_root(leaf, index, newest.size, _hashes(part["path"])) != newest.root:
        raise NotProven("path")
    return leaf


def _entry(part: dict[str, Any], kind: str, newest: Head) -> tuple[bytes, dict[str, int], int]:
    """An entry's leaf, what it did to accounts of each kind (fen, credit positive), and to those whose lines are not shown, together."""
    header, lines = part["header"], part["lines"]
    shown = [each["line"] for each in lines if "line" in each]
    hashes = [leaf_hash(canonical(each["line"])) if "line" in each else bytes.fromhex(each["hash"]) for each in lines]
    leaf = _included(entry_leaf(header, hashes), part, newest)
    if header["leaf"] != "entry" or header["kind"] != kind or header["n_lines"] != len(lines):
        raise NotProven("kind")
    if [each["line_no"] for each in shown] != [n for n, each in enumerate(lines, start=1) if "line" in each]:
        raise NotProven("lines")
    fens: dict[str, int] = {}
    for each in shown:
        fens[each["kind"]] = fens.get(each["kind"], 0) - _fen(each["fen"])
    hidden = -sum(fens.values())  # since all lines sum to zero
    if hidden and len(shown) == len(lines):
        raise NotProven("sum")
    return leaf, fens, hidden


def _settled(proof: dict[str, Any], newest: Head) -> list[Proven]:
    part = proof["settlement"]
    leaf, fens, hidden = _entry(part, "settled", newest)
    if hidden < 0:
        raise NotProven("sum")
    header = part["header"]
    told = {"index": part["index"], "at": header["event_at"][:10], "gross": _yuan(header["gross"]), **_shares(fens)}
    proven = [("settled", told), *_withheld(part, hidden)]
    left, left_hidden, seen = dict(fens), hidden, set()
    for each in proof.get("refunds", []):
        _, taken, taken_hidden = _entry(each, "refund_after_settlement", newest)
        if each["header"]["reverses_id"] != header["id"] or each["index"] in seen or taken_hidden > 0:
            raise NotProven("other_refund")
        seen.add(each["index"])
        for kind, fen in taken.items():
            share = _SHARE_OF.get(kind, kind)
            left[share] = left.get(share, 0) + fen
        left_hidden += taken_hidden
        back = {"index": each["index"], "at": each["header"]["event_at"][:10], "gross": _yuan(each["header"]["gross"])}
        proven.append(("given_back", back))
    if seen:
        if left_hidden < 0 or any(left.get(kind, 0) < 0 for kind in _PLACES.values()):
            raise NotProven("sum")
        proven += [("kept", _shares(left) | {"hidden": _yuan(left_hidden)})]
    for each in proof.get("distributions", []):
        proven += _distributed(each, leaf, fens.get("household_pool", 0) + hidden, newest)
    return proven


# Where an order's money goes: what a sentence calls it, and the kind of account. What was handed on already is recoverable from later shares.
_PLACES = {"cooperative": "revenue", "freight": "freight", "pool": "household_pool", "village": "village_collective", "fund": "relief_fund"}
_SHARE_OF = {"pool_recoverable": "household_pool", "village_recoverable": "village_collective", "fund_recoverable": "relief_fund"}


def _shares(fens: dict[str, int]) -> dict[str, str]:
    return {name: _yuan(fens.get(kind, 0)) for name, kind in _PLACES.items()}


def _withheld(part: dict[str, Any], hidden: int) -> list[Proven]:
    lines = sum("line" not in each for each in part["lines"])
    return [("withheld", {"lines": lines, "fen": _yuan(hidden)})] if lines else []


def _distributed(part: dict[str, Any], settlement: bytes, pool: int, newest: Head) -> list[Proven]:
    header, covered = part["header"], part["covered"]
    leaf = _included(leaf_hash(canonical(header)), part, newest)
    counted = leaf_hash(canonical({"entry": settlement.hex(), "pool_fen": _fen(covered["pool_fen"])}))
    inside = header["settlements"]
    if header["leaf"] != "distribution" or not 0 <= covered["pool_fen"] <= pool:
        raise NotProven("kind")
    root = inclusion_root(counted, covered["index"], inside["entries"], _hashes(covered["path"]))
    if root.hex() != inside["root"]:
        raise NotProven("covered")
    told = {
        "period": header["period"], "part": _yuan(covered["pool_fen"]), "settled": _yuan(inside["fen"]), "entries": inside["entries"],
        "total": _yuan(header["total_fen"]), "households": header["households"] or "<5", "index": part["index"],
    }  # fmt: skip
    proven = [("distributed", told)]
    for each in part.get("payouts", []):
        paid = each["header"]
        _included(leaf_hash(canonical(paid)), each, newest)
        if paid["leaf"] != "payout" or paid["distribution"] != leaf.hex():
            raise NotProven("other_payout")
        amount = _yuan(paid["total_fen"]) if paid["total_fen"] is not None else "—"
        told = {"number": paid["number"], "at": paid["sent_at"][:10], "total": amount, "households": paid["households"] or "<5"}
        proven.append(("payout", told | {"file": paid["file_sha256"] or "—", "index": each["index"]}))
    return proven


def _own_line(part: dict[str, Any], newest: Head) -> Proven:
    """A household opens one of its own lines."""
    header, own, key = part["header"], part["opening"], bytes.fromhex(part["opening"]["key"])
    line = {"period": header["period"], "line_no": own["line_no"], "commitment": commitment(
        key, header["id"], own["account_id"], _fen(own["fen"]), bytes.fromhex(own["nonce"])).hex()}  # fmt: skip
    root = inclusion_root(leaf_hash(canonical(line)), own["line_no"] - 1, header["n_lines"], _hashes(own["path"]))
    _included(leaf_hash(canonical(header) + root), part, newest)
    told = {"kind": header["kind"], "at": header["event_at"][:10], "fen": _yuan(-own["fen"]), "index": part["index"]}
    return ("own_line", told)


def _hashes(path: Any) -> list[bytes]:
    hashes = [bytes.fromhex(each) for each in path]
    if any(len(each) != 32 for each in hashes):
        raise NotProven("path")
    return hashes


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise NotProven("malformed", what="closed")
    return value


def _fen(value: Any) -> int:
    if type(value) is not int:
        raise NotProven("malformed", what="fen")
    return value


def _yuan(fen: Any) -> str:
    value = _fen(fen)
    return f"{'-' if value < 0 else ''}¥{abs(value) // 100:,}.{abs(value) % 100:02d}"


# code → (Chinese, English)
WORDS: dict[str, tuple[str, str]] = {
    "head": ("总账封存 #{number} 是用您给的公钥签的，指纹和您手里的一致：{at}，共 {size} 条记录，{fingerprint}", "Tree head #{number} is signed with your key and matches what you have: {at}, {size} records, {fingerprint}"),
    "since": ("从您手里的封存 #{older} 到 #{number}，只添加过记录，没有改动或删除过。", "From your head #{older} to #{number} records were only added; none was changed or removed."),
    "settled": ("第 {index} 条记录：{at} 分账 {gross}，其中合作社 {cooperative}，农户收益池 {pool}，村集体 {village}，防贫基金 {fund}，运费 {freight}。", "Record {index}: on {at} {gross} were divided: cooperative {cooperative}, households' pool {pool}, village {village}, relief fund {fund}, freight {freight}."),
    "withheld": ("另有 {lines} 行（合计 {fen}）属于不足 5 户的联农组和它们的村，只给出指纹。", "{lines} more of its lines ({fen} together) belong to groups of fewer than 5 households and their villages: shown as fingerprints only."),
    "given_back": ("第 {index} 条记录：{at} 退款 {gross}，从上面分到的钱里按比例收回。", "Record {index}: on {at} {gross} were given back, taken from what had been divided, share by share."),
    "kept": ("退款以后留下的：合作社 {cooperative}，农户收益池 {pool}，村集体 {village}，防贫基金 {fund}，运费 {freight}，只给出指纹的 {hidden}。", "What refunds left of it: cooperative {cooperative}, households' pool {pool}, village {village}, relief fund {fund}, freight {freight}, shown as fingerprints only {hidden}."),
    "distributed": ("第 {index} 条记录：{period} 的收益分配把这张订单的 {part} 计算在内；所含 {entries} 笔分账合计 {settled}，分给 {households} 户共 {total}。", "Record {index}: the distribution of {period} counts {part} of this order; its {entries} settlements add up to {settled}, and {total} went to {households} households."),
    "payout": ("第 {index} 条记录：{at} 把代发文件 {number} 交给银行，{households} 户，{total}，文件 SHA-256：{file}", "Record {index}: on {at} the payment file {number} went to the bank: {households} households, {total}, SHA-256 of the file: {file}"),
    "own_line": ("第 {index} 条记录里有您家的一行：{at}，{kind}，{fen}。", "Record {index} holds a line of your household: {at}, {kind}, {fen}."),
    "closed": ("证明文件自己说：另有 {lines} 行，密钥已经销毁，谁也打不开了，这里没有核对。", "The proof itself says: {lines} more lines, whose key was destroyed; nobody can open them any more, and they were not checked here."),
    "note": ("封存文件的格式不对。", "The tree head is not written as it must be."),
    "format": ("这不是本市场的证明文件，或版本不对。", "This is not a proof of this market, or of another version."),
    "fingerprint": ("--head 要给封存的指纹（至少 16 位）或封存文件。", "--head takes a fingerprint (at least 16 digits) or a head's file."),
    "key_statement": ("更换公钥的声明没有用旧公钥签名。", "The change of keys is not signed with the old key."),
    "signature": ("封存不是用您给的公钥签的。", "The tree head is not signed with your key."),
    "other_head": ("证明依据的是封存 #{number}，和您手里的不是同一个，也没有附上两者之间的衔接证明。", "The proof stands on head #{number}, which is not yours, and nothing connects the two."),
    "path": ("记录不在封存的总账里，或内容被改过。", "The record is not in the sealed log, or was altered."),
    "consistency": ("新的封存不是在旧的封存后面添加出来的：历史被改过。", "The newer head does not extend the older one: history was changed."),
    "kind": ("证明里的记录不是应有的那一种。", "A record is not of the kind it is shown as."),
    "lines": ("分账的行号不连续。", "The entry's lines are not numbered as they must be."),
    "sum": ("分账各行加起来不是零。", "The entry's lines do not sum to zero."),
    "other_refund": ("退款记录指的不是这笔分账。", "A refund does not belong to this settlement."),
    "covered": ("这笔分账不在那次分配里。", "This settlement is not among those of the distribution."),
    "other_payout": ("代发记录指的不是这次分配。", "The payout does not belong to this distribution."),
    "malformed": ("证明文件读不懂：{what}", "The proof cannot be read: {what}"),
    "proven": ("已证明：", "Proven:"),
    "not_proven": ("没有证明：", "NOT proven:"),
    "limits": ("这不能证明：钱真的到了各户（看银行结果和农户自己的回答）；记账时写下的事情是真的；这份证明之后没有再退款；您给的指纹和公钥来自可靠的地方。", "This does not prove that the money arrived (the bank's result and the household's own answer show that), that what was written down was true when written, that nothing was given back after this proof was made, or that the fingerprint and key you gave came from a place you can trust."),
}  # fmt: skip


def words(code: str, data: dict[str, Any], *, english: bool) -> str:
    return WORDS[code][english].format(**data)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proof", type=Path, help="the proof that the receipt's page offers (JSON)")
    parser.add_argument("--head", required=True, help="fingerprint of a tree head, or a file that holds the head")
    parser.add_argument("--key", required=True, help="the log's public key: 64 hexadecimal digits, or name+id+base64; or a file with it")
    parser.add_argument("--en", action="store_true", help="answer in English")
    given = parser.parse_args(arguments)
    try:
        head = _text_or_file(given.head)
        key = read_key(_text_or_file(given.key))
        proof = json.loads(given.proof.read_text(encoding="utf-8"))
    except (OSError, ValueError, binascii.Error, RecursionError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    try:
        proven = check(proof, head=head, key=key)
    except NotProven as error:
        print(words("not_proven", {}, english=given.en), words(error.code, error.data, english=given.en))
        return 1
    print(words("proven", {}, english=given.en))
    for code, data in proven:
        print(" ✓", words(code, data, english=given.en))
    print(words("limits", {}, english=given.en))
    return 0


def _text_or_file(given: str) -> str:
    try:
        return Path(given).read_text(encoding="utf-8") if Path(given).is_file() else given
    except OSError:
        return given


if __name__ == "__main__":
    sys.exit(main())
