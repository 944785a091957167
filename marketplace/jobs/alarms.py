"""The jobs that tell people: what is seriously wrong with money at once, how it stands every morning."""

from datetime import timedelta

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.jobs.schedule import job
from marketplace.notices import alarm, message
from marketplace.notices.alarm import Reader
from marketplace.reporting import money_alarm

MORNING = 8  # o'clock in Beijing


@job("alarms", 60, "tell whoever should know of payments, refunds, differences and certificates that need somebody")
def alarms() -> str:
    wrong = money_alarm.frequent()
    db.session.rollback()
    return _said(transaction(lambda: alarm.take(wrong, money_alarm.FREQUENT, once=money_alarm.ONCE)))


@job("inspection", 24 * 3600, "check every rule of the books and the verifiable log, and tell whoever should know")
def inspection() -> str:
    wrong = money_alarm.daily()
    db.session.rollback()
    return _said(transaction(lambda: alarm.take(wrong, money_alarm.DAILY, once=money_alarm.ONCE)))


@job("digest", 300, "write the morning's digest of money to whoever wants it")
def digest() -> str:
    today = clock.business_date()
    if clock.now() < clock.beijing_midnight(today) + timedelta(hours=MORNING):
        return ""
    readers = alarm.readers(wants="digest")
    db.session.rollback()
    written = sum(transaction(lambda who=who: _morning(who)) for who in readers)  # type: ignore[misc]
    return f"{written} digests" if written else ""


def _morning(reader: Reader) -> bool:
    number = f"money.digest:{clock.business_date():%Y%m%d}:{reader.person_id}:{reader.organisation_id}"
    if message.was_written(number):
        return False
    path = "/operator/money" if reader.of is None else "/cooperative/payments"
    row = message.write(
        "money.digest", number, money_alarm.digest(reader), person_id=reader.person_id, organisation_id=reader.organisation_id, path=path, by_mail=True
    )
    return row is not None


def _said(told_and_solved: tuple[int, int]) -> str:
    told, solved = told_and_solved
    return f"{told} told, {solved} solved" if told or solved else ""
