"""What becomes of households meanwhile, as ``any_money`` plays it: they leave, die or divide, two administrators say so, and what was
credited stays payable: to them, to their heir, or divided with them."""

import itertools
from datetime import date

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households import household_change
from marketplace.households.household import Household
from marketplace.households.household_change import HouseholdChange, Other
from marketplace.households.linkage_group import LinkageShare
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionGroup
from marketplace.settlement.distribution_weights import days_of
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from tests import builders
from tests.builders_people import operator
from tests.settlement.nobody_claims import NobodyClaims

_number = itertools.count(1)
_PARTS = st.sampled_from((0, 3_333, 5_000, 10_000))


class AnyHousehold(NobodyClaims):
    """The rules. The last household of a group neither leaves nor dies, so that there always is somebody to give to."""

    def __init__(self) -> None:
        super().__init__()
        self.administrators = [builders.person(operator(), "administrator") for _ in range(2)]

    @rule(which=st.integers(0, 6), heir=st.sampled_from((None, None, 0, 1, 2, 5)), at_once=st.booleans())
    def a_household_leaves_or_dies(self, which: int, heir: int | None, at_once: bool) -> None:
        """The heir is a person with an account, or a household of the register (``heir``), which may be the wrong one."""
        homes = self._homes()
        home = homes[which % len(homes)]
        if self._is_the_last(home):
            return
        other, may = Other(), True
        if heir is not None:
            other, may = Other(code=homes[heir % len(homes)].code), homes[heir % len(homes)] is not home and homes[heir % len(homes)].exited_on is None
        elif which % 2:
            other = Other(name="王继承", id_number="360925199001010012", bank="靖安农商银行", account="6228480000000001")
        late = home.exited_on is not None and other != Other()  # an heir may be named however late
        self._ask(home, "LEAVES" if other == Other() else "DIES", other, may and self._may_change(home, late=late), at_once=at_once)

    @rule(which=st.integers(0, 6), shares=_PARTS, credit=_PARTS, at_once=st.booleans())
    def a_household_divides(self, which: int, shares: int, credit: int, at_once: bool) -> None:
        """One person of it goes, with a part of the shares and a part of the old credit; the new household has no account yet."""
        homes = self._homes()
        home = homes[which % len(homes)]
        other = Other(name="王分户", id_number="360925199001010020", code=f"JA-NEW-{next(_number)}", people=1, shares_bp=shares, credit_bp=credit)
        self._ask(home, "SPLITS", other, self._may_change(home) and home.people > 1, at_once=at_once)

    @precondition(lambda self: self._waiting() is not None)
    @rule(agrees=st.sampled_from((True, True, True, False)))
    def second_administrator_decides(self, agrees: bool) -> None:
        """The heir may have gone too meanwhile, and a share that begins later is to be ended first. What was credited is divided exactly."""
        row = self._waiting()
        if row is None:
            return
        number, version, home, heir = row.id, row.version, row.household_id, row.other_id
        gone = db.session.get_one(Household, home).exited_on is not None
        may = not agrees or ((gone or self._ends(row)) and (heir is None or db.session.get_one(Household, heir).exited_on is None))
        before = {each.id: self._lies_there(each.id, home) for each in self._rows(Distribution, Distribution.state == "POSTED")}
        part = row.credit_bp if row.kind == "SPLITS" or heir is not None else 0
        done = self.tried(
            may, lambda: household_change.decide(number, actor=self.administrators[1], version=version, approved=agrees, reason="证明不全")
        )
        if done and agrees:
            after = {each: self._lies_there(each, home) for each in before}
            assert after == {each: fen - fen * part // 10_000 for each, fen in before.items()}

    @rule(which=st.integers(0, 2))
    def a_new_household_opens_an_account(self, which: int) -> None:
        new = [home for home in self._homes() if not home.bank_account]
        if new:
            number = new[which % len(new)].id
            self.tried(True, lambda: setattr(db.session.get_one(Household, number), "bank_account", f"62280000{number:08d}"))

    def _ask(self, home: Household, kind: str, other: Other, may: bool, *, at_once: bool) -> None:
        number, day = home.id, clock.business_date(self.now)
        made = self.tried(
            may,
            lambda: household_change.propose(
                number, kind, day, "凭村委会证明", other, document=b"%PDF-1.4 paper", name="证明.pdf", media_type="application/pdf",
                actor=self.administrators[0],
            ),
        )  # fmt: skip
        if made and at_once:
            self.second_administrator_decides(True)

    def _may_change(self, home: Household, *, late: bool = False) -> bool:
        """It is there, was there today, and nothing else is asked of it."""
        waits = select(HouseholdChange.id).where(HouseholdChange.household_id == home.id, HouseholdChange.state == "PROPOSED")
        there = home.exited_on is None and home.entered_on <= clock.business_date(self.now)
        return (there or late) and db.session.scalar(waits) is None

    def _is_the_last(self, home: Household) -> bool:
        """Of any of its groups: the others of it have gone, or are asked to go."""
        going = set(db.session.scalars(select(HouseholdChange.household_id).where(HouseholdChange.state == "PROPOSED", HouseholdChange.kind != "SPLITS")))
        shares = list(db.session.scalars(select(LinkageShare).where(LinkageShare.ends_on.is_(None), LinkageShare.household_id.not_in(going))))
        groups = {share.group_id for share in shares if share.household_id == home.id}
        return any(all(share.household_id == home.id for share in shares if share.group_id == group) for group in groups)

    def _ends(self, row: HouseholdChange) -> bool:
        """Whether each share that is to end has begun by its last day, which is no earlier than the end of what is distributed."""
        lives = select(LinkageShare).where(LinkageShare.household_id == row.household_id)
        for share in db.session.scalars(lives.where(LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on > row.last_day))):
            stays = row.kind == "SPLITS" and not share.shares * row.shares_bp // 10_000
            if not stays and share.starts_on > max(row.last_day, self._closed(share.group_id) or row.last_day):
                return False
        return True

    def _closed(self, group: int) -> date | None:
        periods = (
            select(Distribution.period)
            .join(DistributionGroup, DistributionGroup.distribution_id == Distribution.id)
            .where(DistributionGroup.linkage_group_id == group, Distribution.state != "WITHDRAWN")
        )
        return max((days_of(period)[1] for period in db.session.scalars(periods)), default=None)

    def _lies_there(self, distribution_id: int, household: int) -> int:
        """What nobody is paying of a distribution, and what came back and nobody has issued again."""
        batches = select(PayoutBatch.id).where(PayoutBatch.distribution_id == distribution_id)
        its = PayoutItem.batch_id.in_(batches), PayoutItem.household_id == household, PayoutItem.state == "returned"
        return self._owed(distribution_id)[household] + sum(item.fen for item in self._rows(PayoutItem, *its))

    def _waiting(self) -> HouseholdChange | None:
        db.session.expire_all()
        return db.session.scalars(select(HouseholdChange).where(HouseholdChange.state == "PROPOSED").order_by(HouseholdChange.id)).first()
