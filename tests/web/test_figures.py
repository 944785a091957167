"""The walk over figures finds what it is for: a figure that leads nowhere, to no rows, or to no page. Where it walks: the sixty days."""

import pytest
from flask import Flask, render_template_string

from marketplace.web.permission import public
from tests import builders
from tests.web.figures import Page, Walk, bare
from tests.web.work_desk import browser

FIGURE = "{% from 'macros/figures.html' import figures %}{% from 'macros/ring.html' import ring with context %}<main>"


def page(app: Flask, source: str) -> Page:
    with app.test_request_context("/"):
        return Page(render_template_string(FIGURE + source))


def test_a_bare_figure_is_named_and_a_zero_is_not(app: Flask) -> None:
    found = page(app, "{{ figures([('¥12.00', 'settled'), ('¥0.00', 'none yet'), ('3', 'linked', {'url': '/x', 'note': 'of all'})]) }}")
    assert [each[1] for each in found.figures] == ["¥12.00", "¥0.00", "3"]
    assert bare(found) == ["settled ¥12.00"]


def test_a_ring_is_five_figures(app: Flask) -> None:
    found = page(app, "{{ ring(1000, 900, 800, 700, 0, links={'ordered': '/x', 'paid': '/x'}) }}")
    assert [each[2] for each in found.figures] == ["", "/x", "", "/x", ""]
    assert len(bare(found)) == 2


@pytest.mark.parametrize(
    ("url", "fault"),
    [("/behind", ""), ("/empty", "no rows"), ("#rows", ""), ("#nothing", "no rows"), ("#elsewhere", "no rows"), ("/missing", "404"), ("/elsewhere", "no page")],
)
def test_a_figure_is_followed_to_its_rows(app: Flask, url: str, fault: str) -> None:
    rows = "<h2 id=rows>Rows</h2><table><thead><tr><th>A</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table><h2 id=elsewhere>None</h2>"
    shown = {
        "/desk": FIGURE + f"{{{{ figures([('7', 'orders', {{'url': '{url}'}})]) }}}}{rows}",
        "/behind": "<main><table><tbody><tr><td>1</td></tr></tbody></table>",
        "/empty": "<main><table><thead><tr><th>A</th></tr></thead><tbody></tbody></table>",
    }
    for path, source in shown.items():
        app.add_url_rule(path, path, public(lambda source=source: render_template_string(source)))
    walk = Walk(app)
    walk.one("OPERATOR auditor", browser(app, builders.person(builders.operator(), "auditor")), ["/desk"])
    assert walk.figures == 1
    assert (walk.faults == []) if not fault else any(fault in each for each in walk.faults)
