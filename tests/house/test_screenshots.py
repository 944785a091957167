"""The pictures miss no page in silence: a route that was not reached is excused by name, with a reason, or the command fails."""

from flask import Flask

from tests import screenshots


def pages(app: Flask) -> set[str]:
    return {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())} - screenshots.NOT_PAGES


def test_a_page_that_was_not_reached_is_named_unless_it_is_excused(app: Flask) -> None:
    every = pages(app)
    reasons, missed = screenshots.excused(every, every - {"shop.home", "invitation.show"})
    assert missed == ["shop.home"]
    assert reasons == {"invitation.show": screenshots.NOT_MET["invitation.show"]}
    assert screenshots.excused(every, every) == ({}, [])


def test_excuses_are_few_and_of_pages_that_there_are(app: Flask) -> None:
    assert set(screenshots.NOT_MET) <= pages(app)
    assert all(screenshots.NOT_MET.values())
    assert len(screenshots.NOT_MET) - len(screenshots.NO_PICTURE) < len(pages(app)) // 7
