"""Run by django-hordak's own interpreter, in the environment that ``hordak.txt`` pins: orders of eleven legs, its quick way (bulk).

Arguments: host and name of a PostgreSQL database, and ``make`` or for how many seconds. Says ``ready``, waits for a line, says how many.
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
until, count = time.monotonic() + float(what), 0
while time.monotonic() < until:
    with transaction.atomic():
        order = Transaction.objects.create(date=date(2026, 11, 24), description="order")
        legs = [Leg(transaction=order, account=payer, debit=whole), *(Leg(transaction=order, account=payee, credit=each) for payee in payees)]
        Leg.objects.bulk_create(legs)
    count += 1
print(count)
