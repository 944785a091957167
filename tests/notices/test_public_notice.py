"""A notice stands its working days; objections are heard while it does."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.workdays import WorkdayOverride
from marketplace.notices import objection, public_notice
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.organisations.organisation import Organisation
from tests import builders


@pytest.fixture
def cooperative(app: Flask) -> Iterator[int]:
    with clock.travel(datetime(2025, 9, 24, 2, tzinfo=UTC)):  # a Wednesday before National Day
        yield builders.cooperative()


def notice(cooperative: int, workdays: int = 7) -> PublicNotice:
    def publish() -> PublicNotice:
        subject = db.session.get_one(Organisation, cooperative)
        return public_notice.publish(
            subject, organisation_id=cooperative, title_zh="公示", title_en=None, body={}, workdays=workdays
        )

    return transaction(publish)


def raised(row: PublicNotice) -> Objection:
    return transaction(lambda: objection.raise_(row.id, text="不对", name="王二", contact="13800000000"))


def test_holidays_do_not_count_and_shifted_working_days_do(cooperative: int) -> None:
    # 25, 26, 28 (worked for the holiday), 29, 30 September; 1-8 October free; 9, 10 October.
    row = notice(cooperative)
    assert (row.ends_on, row.is_provisional) == (date(2025, 10, 10), False)


def test_a_calendar_that_is_not_announced_makes_it_provisional(cooperative: int) -> None:
    with clock.travel(datetime(2040, 3, 5, tzinfo=UTC)):
        assert notice(cooperative).is_provisional
        with transaction():
            db.session.add_all(
                [WorkdayOverride(day=date(2040, 3, day), is_workday=True, reason="通知") for day in (6, 7)]
            )
        assert not notice(cooperative, workdays=2).is_provisional


def test_objections_are_sealed_and_heard_until_the_last_day_ends(cooperative: int) -> None:
    row = notice(cooperative)
    said = raised(row)
    assert (said.name, said.contact) == ("王二", "13800000000")
    assert "王二" not in said.name_sealed
    with clock.travel(datetime(2025, 10, 10, 15, 59, tzinfo=UTC)):
        raised(row)
    with clock.travel(datetime(2025, 10, 10, 16, 0, tzinfo=UTC)), pytest.raises(Conflict) as refused:
        raised(row)
    assert refused.value.code == "notice.ended"
    with pytest.raises(InvalidInput):
        transaction(lambda: objection.raise_(row.id, text="  "))


def test_who_may_answer_and_only_once(cooperative: int) -> None:
    said = raised(notice(cooperative)).id
    clerk, other = builders.person(cooperative, "clerk"), builders.person(builders.cooperative("另一家"), "director")
    with pytest.raises(NotAllowed):
        transaction(lambda: objection.answer(said, text="已核", upheld=False, actor=clerk))
    with pytest.raises(NotFound):
        transaction(lambda: objection.answer(said, text="已核", upheld=False, actor=other))
    reviewer = builders.person(builders.operator(), "reviewer")
    with pytest.raises(InvalidInput):
        transaction(lambda: objection.answer(said, text=" ", upheld=False, actor=reviewer))
    assert transaction(lambda: objection.answer(said, text="已核", upheld=False, actor=reviewer)).outcome == "REJECTED"
    with pytest.raises(Conflict):
        transaction(lambda: objection.answer(said, text="再核", upheld=True, actor=reviewer))


def test_the_very_same_objections_are_answered_together_and_no_other(cooperative: int) -> None:
    row, elsewhere = notice(cooperative), notice(cooperative)
    first, *others = [raised(row).id for _ in range(3)]
    another = transaction(lambda: objection.raise_(row.id, text="少算了一筐")).id
    outside = raised(elsewhere).id
    assert objection.counted(row.id) == (4, 4, 0)
    assert [(each.id, same) for each, same in objection.at_desk(row.id)] == [(first, 2), (others[0], 2), (others[1], 2), (another, 0)]
    reviewer = builders.person(builders.operator(), "reviewer")
    transaction(lambda: objection.answer(first, text="已核", upheld=False, alike=True, actor=reviewer))
    assert objection.counted(row.id) == (4, 1, 0)
    assert objection.counted(elsewhere.id) == (1, 1, 0)
    assert [each.id for each, _same in objection.at_desk(row.id)] == [another, first, *others]
    transaction(lambda: objection.answer(another, text="补上", upheld=True, actor=reviewer))
    assert objection.counted(row.id) == (4, 0, 1)
    assert db.session.get_one(Objection, outside).answered_at is None


def test_a_notice_shows_a_page_of_what_was_said_and_where_the_rest_is(cooperative: int) -> None:
    row = notice(cooperative)
    said = [transaction(lambda number=number: objection.raise_(row.id, text=f"第 {number} 条")).id for number in range(objection.PAGE + 1)]  # type: ignore[misc]
    page, more = objection.listed(row.id)
    rest, end = objection.listed(row.id, more)
    assert ([each.id for each in page], [each.id for each in rest], end) == (said[:-1], said[-1:], "")
