"""Vessels: tins, jars, bottles and boxes in ink outlines of two units, each standing on the line y = 0 around x = 0."""

from catalog_seed.pictures.plants import CREAM, INK, LINE, PAPER, SHEET

OUTLINE = f'stroke="{INK}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"'


def picture(ground: str, inside: str, table: str = "", level: float = 160) -> str:
    """A whole picture: tinted ground, a table of a second tone if one is given, and what stands on it."""
    board = f'<path d="M0 {level:g}H200V200H0z" fill="{table}"/>' if table else ""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" width="800" height="800">'
        f'<rect width="200" height="200" fill="{ground}"/>{board}{inside}</svg>\n'
    )


def rounded(
    x: float, y: float, wide: float, high: float, radius: float, fill: str, outline: bool = True
) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="{radius:g}" fill="{fill}" {OUTLINE if outline else ""}/>'


def tin(wide: float, high: float, body: str = SHEET, lid: str = CREAM, lid_high: float = 20) -> str:
    """A tin with an overlapping lid."""
    return rounded(-wide / 2, -high, wide, high, 4, body) + rounded(
        -wide / 2 - 4, -high - lid_high * 0.55, wide + 8, lid_high, 3, lid
    )


def label(wide: float, high: float, middle: float, rule: str, fill: str = PAPER) -> str:
    """A paper label with a thin inner rule, centred ``middle`` above the line."""
    outer = rounded(-wide / 2, -middle - high / 2, wide, high, 0, fill, outline=False)
    return (
        outer
        + f'<rect x="{-wide / 2 + 3:g}" y="{-middle - high / 2 + 3:g}" width="{wide - 6:g}" height="{high - 6:g}" fill="none" stroke="{rule}"/>'
    )


def lines(x: float, top: float, count: int, long: float, colour: str, apart: float = 6) -> str:
    """Lines of small print, suggested."""
    return "".join(
        f'<path d="M{x:g} {top + number * apart:g}h{long * (0.62 if number == count - 1 else 1):g}" stroke="{colour}" stroke-width="1.6" stroke-linecap="round"/>'
        for number in range(count)
    )


def jar(
    wide: float, high: float, filling: str, lid: str = SHEET, level: float = 1, glass: str = SHEET
) -> str:
    """A glass jar filled up to ``level`` of its height, under a wide lid."""
    w, h = wide / 2, high
    body = f"M{-w:g} {-h:g}H{w:g}V-14Q{w:g} 0 {w - 14:g} 0H{-w + 14:g}Q{-w:g} 0 {-w:g} -14z"
    top = -h * level
    inside = f"M{-w:g} {top:g}H{w:g}V-14Q{w:g} 0 {w - 14:g} 0H{-w + 14:g}Q{-w:g} 0 {-w:g} -14z"
    return (
        f'<path d="{body}" fill="{glass}"/><path d="{inside}" fill="{filling}"/><path d="{body}" fill="none" {OUTLINE}/>'
        + rounded(-w - 6, -h - 20, wide + 12, 22, 3, lid)
    )


def bottle(
    wide: float, high: float, neck: float, oil: str, cap: str = INK, level: float = 0.8, glass: str = SHEET
) -> str:
    """An oil bottle with sloping shoulders, filled up to ``level`` of its height."""
    w, h, n = wide / 2, high, neck / 2
    shoulder = h * 0.62
    body = f"M{-n:g} {-h:g}H{n:g}V{-h * 0.8:g}C{n:g} {-h * 0.7:g} {w:g} {-h * 0.7:g} {w:g} {-shoulder + h * 0.06:g}V-8Q{w:g} 0 {w - 8:g} 0H{-w + 8:g}Q{-w:g} 0 {-w:g} -8V{-shoulder + h * 0.06:g}C{-w:g} {-h * 0.7:g} {-n:g} {-h * 0.7:g} {-n:g} {-h * 0.8:g}z"
    clip = f"b{wide:g}-{high:g}-{neck:g}".replace(".", "_")
    fill = f'<clipPath id="{clip}"><path d="{body}"/></clipPath><path d="M{-w:g} {-h * level:g}H{w:g}V2H{-w:g}z" fill="{oil}" clip-path="url(#{clip})"/>'
    return f'<path d="{body}" fill="{glass}"/>{fill}<path d="{body}" fill="none" {OUTLINE}/>' + rounded(
        -n - 2, -h - 13, neck + 4, 15, 3, cap
    )


def shade(x: float, y: float, half: float, colour: str = LINE) -> str:
    """The flat ellipse under a vessel."""
    return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{half:g}" ry="{half * 0.09:g}" fill="{colour}"/>'
