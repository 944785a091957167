"""Pictures of camellia oil."""

from catalog_seed.pictures.plants import (
    CAMELLIA,
    CAMELLIA_PALE,
    CREAM,
    HONEY_LINE,
    INK,
    LINE,
    MUM,
    OIL,
    OIL_DEEP,
    OIL_GROUND,
    PAPER,
    SAND,
    SHEET,
    TEA,
    TEA_MID,
    TEA_PALE,
    at,
    camellia,
    drop,
    fruit,
    leaf,
)  # fmt: skip
from catalog_seed.pictures.vessels import OUTLINE, bottle, label, lines, picture, rounded, shade

TABLE = "#ece1c6"
UNDER = "#dfd1ae"


def pictures() -> dict[str, str]:
    return {
        "oil-bottle": picture(OIL_GROUND, _bottle(), TABLE),
        "oil-can": picture(OIL_GROUND, _can(), TABLE),
        "oil-round": picture(OIL_GROUND, _round(), TABLE),
        "oil-clay": picture(OIL_GROUND, _clay(), TABLE),
        "oil-tall": picture(OIL_GROUND, _tall(), TABLE),
        "oil-flower": picture(OIL_GROUND, _flower()),
        "oil-gift": picture(OIL_GROUND, _gift(), TABLE),
        "oil-jug": picture(OIL_GROUND, _jug(), TABLE),
    }


def _sprig(scale: float = 1) -> str:
    """Two leaves and a white flower."""
    inside = (
        at(0, 0, leaf(40, 9, TEA), -62)
        + at(0, 0, leaf(36, 8, TEA_MID), 58)
        + at(0, 2, leaf(30, 8, TEA_MID), 150)
    )
    return at(0, 0, inside + camellia(22), scale=scale)


def _bottle() -> str:
    vessel = (
        bottle(66, 122, 24, OIL)
        + label(44, 46, 38, OIL_DEEP)
        + at(0, -40, _sprig(0.42))
        + lines(-11, -22, 1, 36, LINE)
    )
    return (
        shade(92, 170, 46, UNDER)
        + at(92, 169, vessel)
        + at(150, 162, fruit(14))
        + at(172, 170, fruit(9, TEA_PALE, TEA_MID))
    )


def _can() -> str:
    body = f'<path d="M-46-104L-36-116H36L46-104V-4Q46 0 42 0H-42Q-46 0-46-4z" fill="{OIL}" {OUTLINE}/><path d="M-46-104H46" {OUTLINE}/>'
    handle = f'<path d="M-22-117V-128Q-22-134-16-134H10Q16-134 16-128V-117" fill="none" stroke="{INK}" stroke-width="5" stroke-linejoin="round"/>'
    cap = rounded(22, -125, 16, 10, 2, INK)
    ticks = "".join(f'<path d="M34-{20 + 16 * n}h8" stroke="{INK}" stroke-width="1.600"/>' for n in range(5))
    front = label(52, 60, 50, OIL_DEEP, SHEET) + at(0, -54, _sprig(0.55)) + lines(-15, -28, 1, 30, LINE)
    return shade(98, 170, 60, UNDER) + at(98, 169, handle + body + cap + at(-8, 0, front) + ticks)


def _round() -> str:
    body = "M-11-118H11V-92C11-84 48-76 48-38C48-12 30 0 0 0S-48-12-48-38C-48-76-11-84-11-92z"
    fill = f'<clipPath id="flask"><path d="{body}"/></clipPath><path d="{body}" fill="{SHEET}"/><path d="M-50-66C-20-62 20-70 50-64V2H-50z" fill="{OIL}" clip-path="url(#flask)"/><path d="{body}" fill="none" {OUTLINE}/>'
    cork = rounded(-10, -130, 20, 15, 2, SAND)
    tag = f'<path d="M-9-98C-18-92-26-90-30-84" fill="none" stroke="{INK}" stroke-width="1.400"/>' + at(
        -34, -70, rounded(-11, -14, 22, 28, 2, PAPER) + at(0, 8, leaf(17, 4, TEA)), 14
    )
    shine = '<path d="M34-46C36-34 32-22 24-15" fill="none" stroke="#f5e3b0" stroke-width="4" stroke-linecap="round"/>'
    return (
        shade(104, 168, 54, UNDER) + at(104, 168, fill + cork + shine + tag) + at(40, 172, _sprig(0.62), -10)
    )


def _clay() -> str:
    jar = f'<path d="M-26-96H26C30-88 56-76 56-44C56-16 38 0 26 0H-26C-38 0-56-16-56-44C-56-76-30-88-26-96z" fill="#a5793f" {OUTLINE}/>'
    glaze = '<clipPath id="clay"><path d="M-26-96H26C30-88 56-76 56-44C56-16 38 0 26 0H-26C-38 0-56-16-56-44C-56-76-30-88-26-96z"/></clipPath><path d="M-60-100H60V-46C48-36 40-52 28-44S8-24-6-40S-30-50-40-38S-54-44-60-46z" fill="#8a5a12" clip-path="url(#clay)"/>'
    outline = f'<path d="M-26-96H26C30-88 56-76 56-44C56-16 38 0 26 0H-26C-38 0-56-16-56-44C-56-76-30-88-26-96z" fill="none" {OUTLINE}/>'
    cloth = f'<path d="M-34-90C-30-104-28-116 0-118S30-104 34-90C24-96 16-88 8-92S-8-96-16-90S-28-94-34-90z" fill="{CAMELLIA_PALE}" {OUTLINE}/><path d="M-27-99C-10-93 10-93 27-99" fill="none" stroke="{INK}" stroke-width="2.400"/>'
    paper = at(
        0,
        -46,
        f'<rect x="-17" y="-17" width="34" height="34" fill="{PAPER}" transform="rotate(45)"/>'
        + at(0, 1, _sprig(0.4)),
    )
    bowl = f'<path d="M-22-16H22C22-5 13 0 8 0H-8C-13 0-22-5-22-16z" fill="{SHEET}" {OUTLINE}/><ellipse cy="-16" rx="22" ry="5" fill="{OIL}" {OUTLINE}/>'
    return (
        shade(88, 168, 62, UNDER)
        + at(88, 167, jar + glaze + outline + cloth + paper)
        + shade(164, 178, 24, UNDER)
        + at(164, 177, bowl)
    )


def _tall() -> str:
    body = "M-9-128H9V-108C9-100 25-98 25-88V-5Q25 0 20 0H-20Q-25 0-25-5V-88C-25-98-9-100-9-108z"
    fill = f'<clipPath id="tall"><path d="{body}"/></clipPath><path d="{body}" fill="{SHEET}"/><path d="M-30-94H30V4H-30z" fill="#efd692" clip-path="url(#tall)"/><path d="{body}" fill="none" {OUTLINE}/>'
    front = (
        rounded(-16, -70, 32, 50, 0, PAPER, outline=False)
        + at(-4, -28, leaf(34, 7, TEA), -8)
        + at(0, -28, leaf(26, 6, TEA_MID), 26)
    )
    dish = (
        f'<ellipse rx="38" ry="11" fill="{SHEET}" {OUTLINE}/><ellipse cy="-1" rx="28" ry="7" fill="#efd692"/>'
    )
    pour = at(148, 138, drop(12, OIL_DEEP)) + at(148, 118, drop(8, OIL_DEEP))
    return (
        shade(76, 168, 36, UNDER)
        + at(76, 168, fill + rounded(-12, -142, 24, 16, 2, TEA) + front)
        + shade(148, 176, 40, UNDER)
        + at(148, 168, dish)
        + pour
    )


def _flower() -> str:
    branch = f'<path d="M26 178C62 164 78 150 92 124C104 102 128 74 176 54" fill="none" stroke="{HONEY_LINE}" stroke-width="4" stroke-linecap="round"/>'
    leaves = ""
    for x, y, turn, size, tone in (
        (54, 166, -30, 50, TEA_MID), (62, 162, 118, 46, TEA), (130, 88, 112, 54, TEA_MID), (120, 96, -18, 50, TEA), (160, 62, -8, 46, TEA_MID), (164, 60, 92, 40, TEA), (90, 128, -74, 58, TEA_MID),
    ):  # fmt: skip
        leaves += at(x, y, leaf(size, size * 0.27, tone, TEA_PALE), turn)
    return (
        branch
        + leaves
        + at(146, 138, fruit(17, "#a9a253", "#8c8a3d"))
        + at(44, 140, fruit(12, "#a9a253", "#8c8a3d"))
        + at(92, 104, camellia(46, SHEET, "#efe6cf"))
        + at(150, 42, camellia(22, SHEET, "#efe6cf"))
    )


def _gift() -> str:
    back = rounded(-66, -122, 132, 122, 3, CREAM) + rounded(-58, -114, 116, 106, 2, SAND, outline=False)
    pair = "".join(
        at(
            x,
            -8,
            bottle(42, 88, 16, OIL_DEEP, CAMELLIA)
            + label(28, 30, 37, OIL_DEEP, SHEET)
            + at(0, -37, camellia(9, CAMELLIA, CAMELLIA_PALE)),
        )
        for x in (-29, 29)
    )
    front = rounded(-66, -22, 132, 22, 3, CREAM)
    spray = (
        at(0, 0, leaf(30, 8, TEA), -64)
        + at(0, 0, leaf(28, 8, TEA_MID), 66)
        + camellia(19, CAMELLIA, "#8a2824")
    )
    return shade(100, 170, 78, UNDER) + at(100, 168, back + pair + front) + at(154, 160, spray)


def _jug() -> str:
    body = "M-38-86C-38-98-20-98-16-112H10C14-98 40-98 40-82V-8Q40 0 32 0H-30Q-38 0-38-8z"
    hole = (
        f'<path d="M18-84Q28-84 28-74V-40Q28-32 22-32T16-40V-76Q16-84 18-84z" fill="{OIL_GROUND}" {OUTLINE}/>'
    )
    fill = f'<clipPath id="jug"><path d="{body}"/></clipPath><path d="{body}" fill="{SHEET}"/><path d="M-44-90H44V4H-44z" fill="#e0b658" clip-path="url(#jug)"/><path d="{body}" fill="none" {OUTLINE}/>'
    front = (
        rounded(-30, -66, 36, 46, 1, SHEET, outline=False)
        + at(-12, -46, _sprig(0.45))
        + lines(-22, -29, 1, 20, LINE)
    )
    chillies = at(
        150,
        176,
        f'<path d="M0 0C10-2 24-8 34-22C36-6 20 8 2 7z" fill="{CAMELLIA}"/><path d="M1 3C-4 2-8 4-11 9" stroke="{TEA}" stroke-width="2.600" fill="none" stroke-linecap="round"/>',
    )
    chillies += at(
        158,
        182,
        f'<path d="M0 0C12 2 24 0 34-8C32 6 16 12 1 7z" fill="{CAMELLIA_PALE}"/><path d="M1 3C-4 4-8 2-11 4" stroke="{TEA}" stroke-width="2.600" fill="none" stroke-linecap="round"/>',
    )
    return (
        shade(90, 169, 54, UNDER)
        + at(90, 168, fill + hole + rounded(-18, -125, 30, 14, 3, MUM) + front)
        + chillies
    )
