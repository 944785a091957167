"""Run by django-hordak's own interpreter, in the environment that ``hordak.txt`` pins: orders of eleven legs, its quick way (bulk).

Arguments: host and name of a PostgreSQL database, and ``make`` or ``5x1``: for how many seconds, and how many orders a commit. Says
``ready``, waits for a line, says how many a second.
"""

import sys
import time
from datetime import date

import django
from django.conf import settings

host, name, what = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "NAME": name, "USER": "market", "CONN_MAX_AGE": None}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DEFAULT_CURRENCY="CNY",
    CURRENCIES=["CNY"],
    HORDAK_CURRENCIES=["CNY"],
    HORDAK_INTERNAL_CURRENCY="CNY",
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from hordak.models import Account, Leg, Transaction  # noqa: E402
from moneyed import Money  # noqa: E402

LINES = 11

if what == "make":
    call_command("migrate", verbosity=0)
    for number in range(LINES):
        Account.objects.create(name=f"account {number}", code=str(number), type="LI", currencies=["CNY"])
    print(Account.objects.count())
    sys.exit()

payer, *payees = Account.objects.order_by("id")
each, whole = Money("1.00", "CNY"), Money(LINES - 1, "CNY")
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
seconds, together = what.split("x")
began, count = time.monotonic(), 0
while time.monotonic() < began + float(seconds):
    with transaction.atomic():
        made = [Transaction(date=date(2026, 11, 24), description="order") for _ in range(int(together))]
        if len(made) == 1:
            made[0].save(force_insert=True)
        else:
            Transaction.objects.bulk_create(made)
        legs = [
            Leg(transaction=order, account=account, debit=debit, credit=credit)
            for order in made
            for account, debit, credit in ((payer, whole, None), *((payee, None, each) for payee in payees))
        ]
        Leg.objects.bulk_create(legs)
    count += len(made)
print(count / (time.monotonic() - began))
