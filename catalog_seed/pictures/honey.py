"""Pictures of native honey."""

from catalog_seed.pictures.plants import (
    CREAM,
    HONEY,
    HONEY_DEEP,
    HONEY_GROUND,
    HONEY_LINE,
    INK,
    LINE,
    MUM_LIGHT,
    MUM_PALE,
    PAPER,
    SAND,
    SHEET,
    TEA,
    TEA_MID,
    TEA_PALE,
    at,
    bee,
    drop,
    hexagon,
    leaf,
)  # fmt: skip
from catalog_seed.pictures.vessels import OUTLINE, jar, lines, picture, rounded, shade

TABLE = "#f5e4c4"
UNDER = "#ead3a6"
WOOD, WOOD_DARK = "#c79a5b", "#a97c3f"


def pictures() -> dict[str, str]:
    return {
        "honey-jar": picture(HONEY_GROUND, _jar(), TABLE),
        "honey-log": picture(HONEY_GROUND, _log()),
        "honey-flower": picture(HONEY_GROUND, _flower(), TABLE),
        "honey-dipper": picture(HONEY_GROUND, _dipper(), TABLE),
        "honey-comb": picture(HONEY_GROUND, _comb()),
        "honey-small": picture(HONEY_GROUND, _small(), TABLE),
        "honey-dark": picture(HONEY_GROUND, _dark(), TABLE),
        "honey-gift": picture(HONEY_GROUND, _gift(), TABLE),
    }


def _cells(radius: float, colour: str, width: float = 2) -> str:
    """Three cells of comb in line, as an emblem."""
    step = radius * 1.732
    places = ((0, -radius * 0.95), (step / 2, radius * 0.55), (-step / 2, radius * 0.55))
    path = "".join(f'<path d="{hexagon(radius)}" transform="translate({x:g} {y:g})"/>' for x, y in places)
    return f'<g fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round">{path}</g>'


def _jar() -> str:
    return (
        shade(96, 170, 56, UNDER)
        + at(96, 168, jar(82, 104, HONEY, SHEET, 0.92) + at(0, -46, _cells(16, HONEY_LINE)))
        + at(172, 44, bee(1.05))
    )


def _log() -> str:
    eaves = f'<path d="M0 0H200V26L0 40z" fill="{SAND}"/><path d="M0 40L200 26V34L0 49z" fill="#d8c59b"/>'
    ropes = f'<g stroke="{INK}" stroke-width="2"><path d="M60 44V84"/><path d="M140 38V84"/></g>'
    log = f'<path d="M38 82H158C170 82 176 102 176 116S170 150 158 150H38z" fill="{WOOD}" {OUTLINE}/>'
    grain = f'<g fill="none" stroke="{WOOD_DARK}" stroke-width="2" stroke-linecap="round"><path d="M72 98H150"/><path d="M84 112H164"/><path d="M76 128H132"/><path d="M92 139H158"/></g>'
    end = f'<ellipse cx="40" cy="116" rx="19" ry="34" fill="{CREAM}" {OUTLINE}/><ellipse cx="40" cy="116" rx="12" ry="23" fill="none" stroke="{WOOD}" stroke-width="2"/>'
    door = f'<path d="M40 104v9M35 110v9M45 110v9M40 119v9" stroke="{INK}" stroke-width="3.600" stroke-linecap="round"/>'
    bands = f'<g fill="none" stroke="{INK}" stroke-width="3"><path d="M60 83C66 96 66 136 60 149"/><path d="M140 82C146 96 146 136 140 150"/></g>'
    grass = "".join(
        at(x, 200, leaf(size, 4, tone), turn)
        for x, size, tone, turn in (
            (16, 34, TEA_MID, -12),
            (26, 26, TEA_PALE, 10),
            (160, 30, TEA_PALE, -8),
            (172, 40, TEA_MID, 6),
            (184, 28, TEA_PALE, 18),
            (104, 22, TEA_PALE, 4),
        )
    )
    return (
        eaves
        + ropes
        + log
        + grain
        + bands
        + end
        + door
        + grass
        + at(86, 66, bee(0.7))
        + at(22, 66, bee(0.55))
        + at(120, 172, bee(0.6))
    )


def _blossom(size: float) -> str:
    petals = "".join(
        f'<ellipse cy="{-size * 0.6:g}" rx="{size * 0.36:g}" ry="{size * 0.48:g}" fill="{SHEET}" transform="rotate({turn})"/>'
        for turn in range(0, 360, 72)
    )
    return petals + f'<circle r="{size * 0.3:g}" fill="{MUM_PALE}"/>'


def _flower() -> str:
    vessel = (
        jar(68, 78, "#f7ead0", SAND, 0.9)
        + rounded(-22, -54, 44, 32, 1, SHEET, outline=False)
        + at(0, -38, _cells(6.5, HONEY_LINE, 1.5))
    )
    branch = f'<path d="M196 30C168 44 150 58 132 92" fill="none" stroke="{WOOD_DARK}" stroke-width="3.500" stroke-linecap="round"/>'
    leaves = "".join(
        at(x, y, leaf(34, 8, tone), turn)
        for x, y, turn, tone in (
            (180, 38, -36, TEA_MID),
            (166, 48, 128, TEA),
            (150, 62, -52, TEA),
            (142, 74, 116, TEA_MID),
            (132, 92, 186, TEA),
        )
    )
    flowers = "".join(
        at(x, y, _blossom(size), turn)
        for x, y, size, turn in (
            (172, 54, 12, 0),
            (158, 46, 11, 20),
            (148, 74, 13, 40),
            (134, 70, 11, 10),
            (136, 96, 12, 5),
            (188, 44, 10, 30),
        )
    )
    return shade(78, 170, 48, UNDER) + at(78, 168, vessel) + branch + leaves + flowers + at(92, 48, bee(0.95))


def _dipper() -> str:
    bowl = f'<path d="M-58-44H58C58-14 34 0 22 0H-22C-34 0-58-14-58-44z" fill="{SHEET}" {OUTLINE}/><ellipse cy="-44" rx="58" ry="13" fill="{HONEY}" {OUTLINE}/>'
    stick = rounded(-4, -84, 8, 64, 4, SAND)
    head = "".join(
        rounded(-wide / 2, y, wide, 7, 3.5, WOOD)
        for y, wide in ((-22, 20), (-14, 27), (-6, 30), (2, 27), (10, 20))
    )
    thread = (
        f'<path d="M106 98C108 110 104 118 106 130" stroke="{HONEY}" stroke-width="6" stroke-linecap="round" fill="none"/>'
        + at(106, 94, drop(18, HONEY))
    )
    ring = (
        f'<ellipse cx="106" cy="131" rx="17" ry="4" fill="none" stroke="{HONEY_DEEP}" stroke-width="1.600"/>'
    )
    return shade(100, 174, 52, UNDER) + at(100, 173, bowl) + thread + ring + at(112, 78, stick + head, 24)


def _comb() -> str:
    tones = (HONEY, "#e7b65c", HONEY_DEEP, "#d18f2c", HONEY, "#efc87e")
    radius, out = 21.0, ""
    step, rise = radius * 1.732, radius * 1.5
    for row in range(6):
        for column in range(7):
            x, y = column * step + (step / 2 if row % 2 else 0) - 6, row * rise - 8
            if (row == 5 and column not in (1, 2)) or (row == 4 and column in (0, 6)):
                continue
            out += f'<path d="{hexagon(radius - 2.4)}" transform="translate({x:.2f} {y:.2f})" fill="{tones[(row * 5 + column * 3 + row * column) % 6]}" stroke="{HONEY_LINE}" stroke-width="1.600" stroke-linejoin="round"/>'
    # One cell is being filled, and honey runs from the lowest.
    return out + at(67, 160, drop(28, HONEY)) + at(150, 136, bee(1.15)) + at(178, 176, bee(0.7))


def _small() -> str:
    vessel = (
        jar(84, 62, "#f0d9a0", SAND, 0.94)
        + '<path d="M-41-52C-24-44-10-56 6-50S30-56 41-48V-58H-41z" fill="#f7ead0"/>'
    )
    outline = f'<path d="M-42-60V-14Q-42 0-28 0H28Q42 0 42-14V-60" fill="none" {OUTLINE}/>'
    front = rounded(-24, -36, 48, 24, 1, SHEET, outline=False) + lines(-15, -28, 2, 30, MUM_PALE, 8)
    bread = f'<path d="M-34 0C-40-22-22-36 0-36S40-22 34 0Q0 8-34 0z" fill="{SHEET}" {OUTLINE}/><path d="M-22-27C-12-20-4-30 4-24S20-30 24-26C20-33 12-36 0-36S-18-33-22-27z" fill="#f0d9a0"/>'
    spoon = at(
        84,
        178,
        f'<ellipse rx="9" ry="13" fill="{SAND}" {OUTLINE}/><rect x="-2.500" y="12" width="5" height="42" rx="2.500" fill="{SAND}" {OUTLINE}/>',
        -74,
    )
    return (
        shade(78, 160, 56, UNDER)
        + at(78, 159, vessel + outline + front)
        + spoon
        + shade(150, 184, 36, UNDER)
        + at(150, 180, bread)
    )


def _dark() -> str:
    body = f'<path d="M-30-92H30L44-70V-14L32 0H-32L-44-14V-70z" fill="{HONEY_DEEP}" {OUTLINE}/><path d="M-44-70L-22-62H22L44-70M-22-62V-8L-32 0M22-62V-8L32 0M-22-8H22" fill="none" stroke="{HONEY_LINE}" stroke-width="1.800"/>'
    cloth = f'<path d="M-40-82C-38-100-30-108 0-108S38-100 40-82C30-90 24-80 14-86S-6-90-14-84S-30-90-40-82z" fill="{MUM_LIGHT}" {OUTLINE}/><path d="M-31-92C-10-86 10-86 31-92" fill="none" stroke="{HONEY_LINE}" stroke-width="3"/>'
    paper = rounded(-16, -52, 32, 34, 0, PAPER, outline=False) + at(0, -35, _cells(6.5, HONEY_LINE, 1.5))
    lemon = f'<circle r="19" fill="{MUM_PALE}"/><circle r="15.500" fill="{CREAM}"/>' + "".join(
        f'<path d="M0-2L5-13Q0-16-5-13z" fill="{MUM_LIGHT}" transform="rotate({turn})"/>'
        for turn in range(0, 360, 60)
    )
    return shade(92, 168, 54, UNDER) + at(92, 167, body + cloth + paper) + at(158, 164, lemon)


def _gift() -> str:
    pair = "".join(
        at(x, -14, jar(48, 68, tone, SHEET, 0.9) + at(0, -40, _cells(8.5, HONEY_LINE, 1.6)))
        for x, tone in ((-31, HONEY), (31, "#e7b65c"))
    )
    tray = f'<path d="M-70-34H70L62 0H-62z" fill="{CREAM}" {OUTLINE}/><path d="M-67-24H67" stroke="{LINE}" stroke-width="2"/>'
    handle = f'<path d="M-66-34V-108Q-66-132-42-132H42Q66-132 66-108V-34" fill="none" stroke="{INK}" stroke-width="6"/><path d="M-66-34V-108Q-66-132-42-132H42Q66-132 66-108V-34" fill="none" stroke="{CREAM}" stroke-width="2.400"/>'
    flower = (
        at(0, -12, leaf(18, 5, TEA_MID), -60)
        + at(0, -12, leaf(18, 5, TEA_PALE), 60)
        + at(0, -13, _blossom(10))
    )
    return shade(100, 173, 72, UNDER) + at(100, 172, handle + pair + tray + flower)
