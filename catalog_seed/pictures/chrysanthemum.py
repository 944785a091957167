"""Pictures of the imperial chrysanthemum."""

from catalog_seed.pictures.plants import (
    CREAM,
    MUM,
    MUM_GROUND,
    MUM_LIGHT,
    MUM_PALE,
    PAPER,
    SAND,
    SHEET,
    TEA,
    TEA_MID,
    TEA_PALE,
    at,
    bud,
    flower,
    mum_leaf,
)  # fmt: skip
from catalog_seed.pictures.vessels import OUTLINE, label, lines, picture, rounded, shade, tin

TABLE = "#f5e3be"
UNDER = "#ecd5a4"
MID = "#d99f35"


def pictures() -> dict[str, str]:
    return {
        "mum-one": picture(
            MUM_GROUND, at(100, 100, flower(78, 4, (MUM, MID, MUM_PALE, "#eec272"), petals=20))
        ),
        "mum-bud": picture(MUM_GROUND, _bud()),
        "mum-gift-box": picture(MUM_GROUND, _gift_box()),
        "mum-many": picture(MUM_GROUND, _many()),
        "mum-jar": picture(MUM_GROUND, _jar(), TABLE),
        "mum-cup": picture(MUM_GROUND, _cup()),
        "mum-box": picture(MUM_GROUND, _box(), TABLE),
        "mum-tin": picture(MUM_GROUND, _tin(), TABLE),
    }


def _bud() -> str:
    stems = f'<g fill="none" stroke="{TEA}" stroke-width="3.500" stroke-linecap="round"><path d="M100 190C100 150 98 128 100 92"/><path d="M100 164C92 142 70 138 58 116"/><path d="M100 150C110 130 132 126 146 100"/></g>'
    leaves = (
        at(99, 172, mum_leaf(46, TEA_MID), 62)
        + at(100, 160, mum_leaf(44, TEA_PALE), -68)
        + at(72, 138, mum_leaf(28, TEA_MID), -104)
        + at(128, 128, mum_leaf(28, TEA_PALE), 110)
    )
    return stems + leaves + at(100, 96, bud(78)) + at(58, 118, bud(56), -24) + at(146, 102, bud(58), 22)


def _gift_box() -> str:
    tray = rounded(24, 34, 152, 132, 4, CREAM) + rounded(31, 41, 138, 118, 2, SAND, outline=False)
    cells = ""
    for column in range(4):
        for row in range(3):
            x, y = 50.5 + column * 33, 62.5 + row * 37.5
            cells += rounded(x - 14.5, y - 16.5, 29, 33, 2, SHEET, outline=False)
            cells += at(x, y, flower(13.5, 3, (MUM, MID, MUM_PALE), petals=13), (column * 17 + row * 29) % 28)
    return tray + cells


def _many() -> str:
    out = ""
    for x, y, turn in (
        (30, 20, 10),
        (172, 186, -40),
        (18, 128, -70),
        (190, 66, 80),
        (96, 190, 180),
        (118, 14, 20),
    ):
        out += at(x, y, mum_leaf(54, TEA_PALE), turn)
    for x, y, turn in ((62, 100, -120), (136, 132, 60), (108, 62, 30), (60, 176, 200)):
        out += at(x, y, mum_leaf(52, TEA_MID), turn)
    for x, y, size, turn in (
        (40, 44, 42, 4), (158, 28, 36, 12), (98, 22, 28, 2), (16, 104, 30, 9), (184, 106, 34, 3), (42, 162, 40, 7), (166, 170, 42, 11), (104, 184, 30, 5), (104, 100, 50, 0),
    ):  # fmt: skip
        out += at(x, y, flower(size, 3, (MUM, MID, MUM_PALE), petals=16 if size > 32 else 14), turn)
    return out


def _jar() -> str:
    w, h = 41, 104
    body = f"M{-w + 8} {-h}H{w - 8}C{w} {-h + 10} {w} {-h + 18} {w} {-h + 26}V-14Q{w} 0 {w - 14} 0H{-w + 14}Q{-w} 0 {-w} -14V{-h + 26}C{-w} {-h + 18} {-w} {-h + 10} {-w + 8} {-h}z"
    flowers = ""
    for number, (x, y, size) in enumerate(
        (
            (-24, -16, 17),
            (4, -14, 16),
            (28, -18, 15),
            (-10, -34, 17),
            (18, -38, 17),
            (-28, -44, 15),
            (-6, -56, 16),
            (26, -60, 15),
            (-24, -68, 15),
            (6, -76, 15),
        )
    ):
        flowers += at(x, y, flower(size, 3, (MUM, MID, MUM_PALE), petals=13), number * 23)
    clip = f'<clipPath id="glass"><path d="{body}"/></clipPath><path d="{body}" fill="{SHEET}"/><g clip-path="url(#glass)">{flowers}</g><path d="{body}" fill="none" {OUTLINE}/>'
    lid = rounded(-w + 4, -h - 20, 2 * w - 8, 21, 6, SAND)
    return (
        shade(100, 168, 50, UNDER)
        + at(100, 168, clip + lid)
        + at(162, 172, flower(17, 3, (MUM, MID, MUM_PALE), petals=14))
    )


def _cup() -> str:
    saucer = f'<circle r="82" fill="{SHEET}" {OUTLINE}/><circle r="68" fill="none" stroke="{MUM_LIGHT}" stroke-width="1.500"/>'
    cup = f'<circle r="57" fill="{PAPER}" {OUTLINE}/><circle r="50" fill="#f4dea0"/>'
    handle = rounded(52, -8, 36, 16, 8, PAPER)
    return at(
        100,
        100,
        saucer + at(0, 0, handle, 38) + cup + flower(40, 4, (MUM, MID, MUM_PALE, "#eec272"), petals=18),
    )


def _box() -> str:
    side = f'<path d="M38-112L58-122V-12L38 0z" fill="{SAND}" {OUTLINE}/><path d="M-44-112L-24-122H58L38-112z" fill="{CREAM}" {OUTLINE}/>'
    front = rounded(-44, -112, 82, 112, 1, SHEET)
    window = f'<circle cx="-3" cy="-66" r="29" fill="{MUM_GROUND}" {OUTLINE}/>' + at(
        -3, -66, flower(25, 3, (MUM, MID, MUM_PALE), petals=16)
    )
    return (
        shade(100, 168, 64, UNDER)
        + at(94, 168, side + front + window + lines(-17, -22, 2, 28, MUM_LIGHT, 7))
        + at(164, 174, flower(15, 3, (MUM, MID, MUM_PALE), petals=14))
    )


def _tin() -> str:
    vessel = (
        tin(84, 70, MUM_LIGHT, CREAM, 18)
        + label(44, 44, 33, MUM)
        + at(0, -33, flower(16, 3, (MUM, MID, MUM_PALE), petals=14))
    )
    small = at(50, 174, flower(20, 3, (MUM, MID, MUM_PALE), petals=14)) + at(
        158, 176, flower(15, 3, (MUM, MID, MUM_PALE), petals=14), 10
    )
    return shade(104, 166, 60, UNDER) + at(104, 165, vessel) + small
