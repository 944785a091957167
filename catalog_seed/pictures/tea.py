"""Pictures of white tea."""

from catalog_seed.pictures.plants import (
    CREAM,
    INK,
    LINE,
    MUM_LIGHT,
    PAPER,
    SAND,
    SHEET,
    TEA,
    TEA_GROUND,
    TEA_INK,
    TEA_MID,
    TEA_MIST,
    TEA_PALE,
    at,
    leaf,
    needles,
    shoot,
)  # fmt: skip
from catalog_seed.pictures.vessels import OUTLINE, label, lines, picture, rounded, shade, tin

TABLE = "#d5e3d3"
LIQUOR = "#e3e7bd"


def pictures() -> dict[str, str]:
    return {
        "tea-tin-label": picture(TEA_GROUND, _tin_label(), TABLE),
        "tea-leaves": picture(TEA_GROUND, at(100, 162, shoot(1.12))),
        "tea-dish": picture(TEA_GROUND, _dish()),
        "tea-mist": picture("#eef3ea", _mist()),
        "tea-loose": picture(TEA_GROUND, _loose(), TABLE, 132),
        "tea-bamboo": picture(TEA_GROUND, _bamboo()),
        "tea-gift-box": picture(TEA_GROUND, _gift_box()),
        "tea-gaiwan": picture(TEA_GROUND, _gaiwan(), TABLE, 150),
        "tea-glass": picture(TEA_GROUND, _glass(), TABLE),
        "tea-forest": picture("#eef3ea", _forest()),
        "tea-pouch": picture(TEA_GROUND, _pouch(), TABLE),
        "tea-tin-plain": picture(TEA_GROUND, _tin_plain(), TABLE),
    }


def _tin_label() -> str:
    vessel = tin(74, 104) + label(50, 66, 48, TEA) + at(0, -36, shoot(0.29))
    vessel += lines(-11, -28, 2, 22, TEA_MIST, 5)
    return shade(96, 170, 56, "#c2d5c0") + at(92, 170, vessel) + at(148, 172, shoot(0.42), 14)


def _dish() -> str:
    plate = f'<circle r="72" fill="{SHEET}" {OUTLINE}/><circle r="55" fill="{PAPER}" stroke="{LINE}" stroke-width="1.500"/>'
    return at(100, 100, plate + needles(64, (40, 40), 7, 21) + at(4, 12, shoot(0.3), 30))


def _mist() -> str:
    sun = f'<circle cx="140" cy="50" r="17" fill="{MUM_LIGHT}"/>'
    hills = f'<path d="M0 92C34 58 66 66 96 80S160 92 200 56V200H0z" fill="#cbdcc8"/><path d="M0 122C40 88 74 104 112 112S176 110 200 94V200H0z" fill="{TEA_MIST}"/>'
    fog = "".join(
        f'<path d="M{x} {y}h{long}" stroke="#f5f8f2" stroke-width="{wide}" stroke-linecap="round"/>'
        for x, y, long, wide in (
            (-10, 96, 96, 9),
            (104, 106, 120, 7),
            (36, 116, 70, 5),
            (-8, 130, 44, 6),
            (132, 126, 40, 5),
        )
    )
    near = f'<path d="M0 160C44 128 92 138 132 144S184 140 200 132V200H0z" fill="{TEA_MID}"/>'
    rows = f'<g fill="none" stroke="{TEA}" stroke-width="3" stroke-linecap="round" opacity=".7"><path d="M-4 172C50 144 104 154 204 146"/><path d="M-4 187C54 161 110 169 204 161"/><path d="M-4 202C60 178 116 184 204 177"/></g>'
    return sun + hills + fog + near + rows


def _loose() -> str:
    heap = f'<path d="M28 158C52 134 76 114 100 112S150 134 172 158Q100 176 28 158z" fill="{TEA_MID}"/>'
    heap += at(100, 146, needles(120, (68, 16), 11, 20)) + at(100, 126, needles(50, (36, 14), 12, 20))
    scoop = f'<path d="M0-13H40Q54-13 54 0T40 13H0Q-12 13-14 0Q-12-13 0-13z" fill="{SAND}" {OUTLINE}/><rect x="54" y="-4" width="42" height="8" rx="4" fill="{SAND}" {OUTLINE}/>'
    scoop += at(16, 0, needles(22, (20, 7), 5, 14))
    return heap + at(84, 72, scoop, -24)


def _bamboo() -> str:
    def stalk(x: float, wide: float, fill: str, joint: str, start: float) -> str:
        cane = f'<rect x="{x:g}" width="{wide:g}" height="200" fill="{fill}"/>'
        return cane + "".join(
            f'<rect x="{x - 1.5:g}" y="{start + n * 52:g}" width="{wide + 3:g}" height="3.600" rx="1.800" fill="{joint}"/>'
            for n in range(5)
        )

    def spray(x: float, y: float, turns: tuple[int, ...], fill: str, size: float) -> str:
        return "".join(at(x, y, leaf(size, size * 0.12, fill), turn) for turn in turns)

    back = (
        stalk(20, 11, "#cbdcc8", TEA_GROUND, 12)
        + stalk(62, 9, "#cbdcc8", TEA_GROUND, -20)
        + stalk(178, 10, "#cbdcc8", TEA_GROUND, -8)
    )
    back += spray(31, 62, (98, 124, 150), "#cbdcc8", 44) + spray(178, 96, (206, 236, 262), "#cbdcc8", 42)
    front = (
        stalk(146, 15, TEA_MIST, TEA_GROUND, -30)
        + spray(146, 72, (206, 232, 258, 284), TEA_MIST, 52)
        + stalk(40, 12, TEA_MIST, TEA_GROUND, 4)
    )
    front += spray(52, 56, (84, 112, 138), TEA_MIST, 48)
    return back + front + at(96, 178, shoot(0.92))


def _gift_box() -> str:
    box = rounded(28, 40, 144, 120, 4, CREAM) + rounded(36, 48, 128, 104, 2, SAND, outline=False)
    tins = ""
    for x, y in ((61, 73), (139, 73), (100, 100), (61, 127), (139, 127)):
        tins += at(
            x,
            y,
            f'<circle r="20" fill="{SHEET}" {OUTLINE}/><circle r="15" fill="none" stroke="{TEA_MIST}" stroke-width="1.400"/>'
            + at(0, 9, shoot(0.17)),
        )
    ribbon = f'<path d="M28 170h144" stroke="{TEA_MIST}" stroke-width="6" stroke-linecap="round"/>'
    return ribbon + box + tins


def _gaiwan() -> str:
    saucer = f'<path d="M-66-6H66Q52 12 24 13H-24Q-52 12-66-6z" fill="{SHEET}" {OUTLINE}/>'
    bowl = f'<path d="M-50-70H50C50-34 30-10 20-6H-20C-30-10-50-34-50-70z" fill="{SHEET}" {OUTLINE}/><path d="M-44-46C-20-40 20-40 44-46" fill="none" stroke="{TEA_MIST}" stroke-width="2"/>'
    bowl += (
        at(-6, -18, leaf(20, 5, TEA_MID), -36)
        + at(-2, -18, leaf(24, 5, TEA), 4)
        + at(2, -18, leaf(20, 5, TEA_PALE), 42)
    )
    lid = f'<path d="M-44-72C-38-92-18-98 0-98S38-92 44-72z" fill="{PAPER}" {OUTLINE}/><path d="M-9-98L-12-108H12L9-98z" fill="{PAPER}" {OUTLINE}/>'
    steam = f'<g fill="none" stroke="{TEA_MIST}" stroke-width="2.500" stroke-linecap="round"><path d="M62-92C54-104 70-112 62-126"/><path d="M76-84C70-94 82-100 76-110"/></g>'
    return shade(100, 172, 70, "#c2d5c0") + at(100, 160, saucer + bowl + lid + steam)


def _glass() -> str:
    body = "M-33-118H33L27-6Q26 0 20 0H-20Q-26 0-27-6z"
    tea = f'<path d="M-31.200-96H31.200L27-6Q26 0 20 0H-20Q-26 0-27-6z" fill="{LIQUOR}"/>'
    leaves = "".join(
        at(x, y, leaf(size, size * 0.16, tone, ""), turn)
        for x, y, size, tone, turn in (
            (-17, -6, 34, TEA, -7), (-8, -5, 46, TEA_MID, 3), (2, -6, 38, TEA, -3), (11, -5, 50, TEA_PALE, 5), (19, -7, 30, TEA_MID, 9),
            (-13, -52, 30, TEA_PALE, -4), (9, -60, 28, TEA_MID, 6), (-2, -72, 22, TEA, -2),
        )
    )  # fmt: skip
    edge = f'<path d="{body}" fill="none" {OUTLINE}/><path d="M-31.200-96H31.200" stroke="#c9cf98" stroke-width="1.500"/>'
    return shade(100, 168, 44, "#c2d5c0") + at(
        100, 168, f'<path d="{body}" fill="#f5f8f2"/>' + tea + leaves + edge
    )


def _forest() -> str:
    trunks = "".join(f'<rect x="{x}" width="{wide}" height="150" fill="{tone}"/>' for x, wide, tone in (
        (16, 8, "#d5e3d3"), (52, 7, "#d5e3d3"), (118, 8, "#d5e3d3"), (172, 9, "#d5e3d3"), (34, 12, TEA_MIST), (148, 13, TEA_MIST)))  # fmt: skip

    def fir(x: float, y: float, size: float, fill: str) -> str:
        return "".join(
            at(
                x,
                y + n * size * 0.4,
                f'<path d="M0 {-size * 0.55:g}L{size * (0.4 + n * 0.16):g} {size * 0.3:g}H{-size * (0.4 + n * 0.16):g}z" fill="{fill}"/>',
            )
            for n in range(3)
        )

    trees = fir(38, 26, 44, TEA_MIST) + fir(156, 20, 50, TEA_MIST)
    blossom = ""
    branch = f'<path d="M200 58C176 64 150 62 118 78" fill="none" stroke="{TEA_INK}" stroke-width="3" stroke-linecap="round"/>'
    for x, y, size in (
        (184, 58, 8),
        (166, 66, 9),
        (148, 60, 7),
        (136, 74, 9),
        (118, 79, 8),
        (156, 78, 6),
        (176, 74, 6),
    ):
        blossom += at(
            x,
            y,
            "".join(
                f'<circle cx="0" cy="{-size * 0.62:g}" r="{size * 0.5:g}" fill="{SHEET}" transform="rotate({turn})"/>'
                for turn in range(0, 360, 72)
            )
            + f'<circle r="{size * 0.26:g}" fill="{MUM_LIGHT}"/>',
        )
    bushes = ""
    for x, y, size, tone in (
        (30, 168, 40, TEA_MID),
        (92, 164, 46, TEA_MID),
        (160, 168, 44, TEA_MID),
        (60, 188, 44, TEA),
        (130, 190, 48, TEA),
        (196, 188, 36, TEA),
        (-2, 190, 34, TEA),
    ):
        bushes += f'<ellipse cx="{x}" cy="{y}" rx="{size}" ry="{size * 0.5:g}" fill="{tone}"/>'
    sprouts = "".join(
        at(x, y, leaf(15, 3.2, TEA_PALE), turn)
        for x, y in ((44, 168), (76, 172), (112, 170), (146, 174), (98, 148), (24, 150), (166, 150))
        for turn in (-24, 0, 24)
    )
    return trunks + trees + branch + blossom + bushes + sprouts


def _pouch() -> str:
    body = f'<path d="M-40-122H40C42-84 46-40 46-6Q0 6-46-6C-46-40-42-84-40-122z" fill="{SAND}" {OUTLINE}/>'
    seam = f'<path d="M-40-110H40" stroke="{INK}" stroke-width="1.400" stroke-dasharray="3 3"/><path d="M-46-8Q0-20 46-8" fill="none" stroke="#cfc19c" stroke-width="2"/>'
    front = label(50, 58, 58, TEA) + at(0, -44, shoot(0.24)) + lines(-12, -39, 2, 24, TEA_MIST, 5)
    return shade(100, 170, 56, "#c2d5c0") + at(100, 168, body + seam + front)


def _tin_plain() -> str:
    back = (
        tin(62, 96, TEA_MID, TEA) + f'<circle cy="-44" r="21" fill="{TEA_GROUND}"/>' + at(0, -29, shoot(0.26))
    )
    bowl = f'<path d="M-30-26H30C30-8 18 0 10 0H-10C-18 0-30-8-30-26z" fill="{SHEET}" {OUTLINE}/><ellipse cy="-26" rx="30" ry="7" fill="{LIQUOR}" {OUTLINE}/>'
    return (
        shade(82, 166, 50, "#c2d5c0")
        + at(82, 164, back)
        + shade(146, 178, 30, "#c2d5c0")
        + at(146, 177, bowl)
    )
