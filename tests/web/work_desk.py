"""What tests of work screens share: a browser of an actor, a page as axe sees it, and workbooks to bring and to read."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import xlsxwriter
from flask import Flask
from flask.testing import FlaskClient
from python_calamine import CalamineWorkbook

from marketplace.organisations.actor import Actor


def browser(app: Flask, actor: Actor) -> FlaskClient:
    """A browser in which the actor has signed in."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = actor.person_id, actor.organisation_id
    return client


def workbook(*rows: Sequence[Any]) -> BytesIO:
    """An Excel file of these rows."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd hh:mm"})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    out.seek(0)
    return out


def rows_of(content: bytes) -> list[list[Any]]:
    """The rows of an Excel file."""
    return CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()
