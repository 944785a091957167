"""Plants, bees and drops: flat shapes in two or three tones, never outlined. Lengths are in the 200 × 200 view box."""

import math
import random

TEA, TEA_MID, TEA_PALE, TEA_MIST, TEA_GROUND = "#3f6b4f", "#6f9775", "#84aa86", "#a9c3a6", "#e6efe4"
TEA_INK = "#284836"
MUM, MUM_PALE, MUM_LIGHT, MUM_GROUND = "#c98a1b", "#e8b64c", "#f3d9a0", "#fbf0d9"
OIL, OIL_DEEP, OIL_GROUND = "#e9c46a", "#d6a845", "#f6efdd"
HONEY, HONEY_DEEP, HONEY_LINE, HONEY_GROUND = "#dfa23a", "#b9741c", "#8a5a12", "#fdf3e1"
CAMELLIA, CAMELLIA_PALE = "#a8322d", "#c8635a"
INK, PAPER, SHEET, CREAM, LINE, SAND = "#24302b", "#faf7f0", "#fffdf8", "#f4eddc", "#e2dccd", "#eadfc4"


def at(x: float, y: float, inside: str, turn: float = 0, scale: float = 1) -> str:
    """``inside`` moved to (x, y), turned clockwise by degrees and scaled."""
    return f'<g transform="translate({x:g} {y:g}) rotate({turn:g}) scale({scale:g})">{inside}</g>'


def leaf(length: float, width: float, fill: str, vein: str = "") -> str:
    """A pointed leaf growing upwards from the origin, with a midrib if ``vein`` is a colour."""
    w, n = width, length
    shape = f'<path d="M0 0C{w:g} {-n * 0.25:g} {w * 0.9:g} {-n * 0.7:g} 0 {-n:g}C{-w * 0.9:g} {-n * 0.7:g} {-w:g} {-n * 0.25:g} 0 0z" fill="{fill}"/>'
    if vein:
        shape += f'<path d="M0 {-n * 0.08:g}V{-n * 0.86:g}" stroke="{vein}" stroke-width="1.4" stroke-linecap="round"/>'
    return shape


def shoot(tall: float = 1) -> str:
    """One bud and two leaves, standing on the origin, about 112 high."""
    inside = '<path d="M-2 0C-46-26-60-56-62-84C-32-70-8-44 2 0z" fill="#6f9775"/>'
    inside += '<path d="M2 0C48-24 64-50 66-80C34-68 8-42 -2 0z" fill="#84aa86"/>'
    inside += '<path d="M0 2C-12-40-8-84 3-112C17-84 14-38 0 2z" fill="#3f6b4f"/>'
    inside += '<g stroke-width="1.4" stroke-linecap="round" fill="none"><path d="M-6-10C-22-30-38-50-54-74" stroke="#a9c3a6"/>'
    inside += '<path d="M6-10C24-28 40-46 57-70" stroke="#b9d0b6"/><path d="M1-12C-1-40 0-74 3-98" stroke="#6f9775"/></g>'
    return at(0, 0, inside, scale=tall)


def needles(count: int, inside: tuple[float, float], seed: int, size: float = 20) -> str:
    """Dry tea: straight needles scattered over an ellipse of these half-axes around the origin."""
    chance = random.Random(seed)
    out = []
    for number in range(count):
        turn, far = chance.uniform(0, 2 * math.pi), math.sqrt(chance.random())
        x, y = inside[0] * far * math.cos(turn), inside[1] * far * math.sin(turn)
        fill = (TEA, TEA_MID, TEA_PALE)[number % 3]
        out.append(at(x, y, leaf(size * chance.uniform(0.8, 1.25), 2.6, fill), chance.uniform(0, 360)))
    return "".join(out)


def flower(
    radius: float,
    rows: int = 3,
    tones: tuple[str, ...] = (MUM, "#d99f35", MUM_PALE),
    heart: str = "#f0cd83",
    petals: int = 16,
) -> str:
    """A chrysanthemum from above: rows of thin curling petals around a heart, centred on the origin."""
    out = []
    for row in range(rows):
        reach = radius * (1 - row * 0.24)
        wide, start = radius * 0.125, radius * 0.14
        petal = f'<path d="M0 {-start:g}C{wide * 1.25:g} {-reach * 0.45:g} {wide:g} {-reach * 0.85:g} {wide * 0.15:g} {-reach:g}C{-wide * 0.9:g} {-reach * 0.8:g} {-wide * 0.8:g} {-reach * 0.4:g} 0 {-start:g}z"/>'
        turned = "".join(
            f'<g transform="rotate({(number + row * 0.5) * 360 / petals:.5g})">{petal}</g>'
            for number in range(petals)
        )
        out.append(f'<g fill="{tones[min(row, len(tones) - 1)]}">{turned}</g>')
    out.append(f'<circle r="{radius * 0.17:g}" fill="{heart}"/>')
    return "".join(out)


def bud(size: float) -> str:
    """A chrysanthemum bud, closed but for its tip, in its calyx; standing on the origin."""
    s = size
    petals = "".join(
        at(x * s * 0.8, -s * 0.14, leaf(long * s * 1.2, s * 0.14, tone), turn)
        for x, long, turn, tone in (
            (-0.2, 0.56, -12, MUM), (0.2, 0.56, 12, MUM), (-0.11, 0.66, -7, "#d99f35"), (0.11, 0.66, 7, "#d99f35"),
            (0, 0.72, 0, MUM_PALE), (-0.15, 0.44, -4, MUM_PALE), (0.15, 0.44, 4, MUM_PALE),
        )
    )  # fmt: skip
    cup = (
        f'<path d="M{-s * 0.32:g} {-s * 0.4:g}C{-s * 0.38:g} {-s * 0.12:g} {-s * 0.16:g} 0 0 0C{s * 0.16:g} 0 {s * 0.38:g} {-s * 0.12:g} {s * 0.32:g} {-s * 0.4:g}'
        f'L{s * 0.2:g} {-s * 0.24:g}L{s * 0.1:g} {-s * 0.42:g}L0 {-s * 0.25:g}L{-s * 0.1:g} {-s * 0.42:g}L{-s * 0.2:g} {-s * 0.24:g}z" fill="{TEA_MID}"/>'
    )
    return petals + cup


def mum_leaf(length: float, fill: str) -> str:
    """A lobed chrysanthemum leaf growing upwards from the origin."""
    n = length
    right = f"C{n * 0.1:g} {-n * 0.1:g} {n * 0.34:g} {-n * 0.12:g} {n * 0.36:g} {-n * 0.3:g}C{n * 0.26:g} {-n * 0.34:g} {n * 0.2:g} {-n * 0.34:g} {n * 0.16:g} {-n * 0.4:g}C{n * 0.26:g} {-n * 0.42:g} {n * 0.34:g} {-n * 0.5:g} {n * 0.3:g} {-n * 0.66:g}C{n * 0.2:g} {-n * 0.66:g} {n * 0.12:g} {-n * 0.74:g} 0 {-n:g}"
    left = f"C{-n * 0.12:g} {-n * 0.74:g} {-n * 0.2:g} {-n * 0.66:g} {-n * 0.3:g} {-n * 0.66:g}C{-n * 0.34:g} {-n * 0.5:g} {-n * 0.26:g} {-n * 0.42:g} {-n * 0.16:g} {-n * 0.4:g}C{-n * 0.2:g} {-n * 0.34:g} {-n * 0.26:g} {-n * 0.34:g} {-n * 0.36:g} {-n * 0.3:g}C{-n * 0.34:g} {-n * 0.12:g} {-n * 0.1:g} {-n * 0.1:g} 0 0z"
    return f'<path d="M0 0{right}{left}" fill="{fill}"/>'


def camellia(radius: float, petal: str = SHEET, shade: str = CREAM) -> str:
    """An oil camellia from the front: seven broad petals and a crown of stamens, centred on the origin."""
    r = radius
    one = f'<path d="M0 {-r * 0.1:g}C{r * 0.56:g} {-r * 0.36:g} {r * 0.46:g} {-r * 0.94:g} {r * 0.1:g} {-r:g}C{r * 0.04:g} {-r * 0.9:g} {-r * 0.04:g} {-r * 0.9:g} {-r * 0.1:g} {-r:g}C{-r * 0.46:g} {-r * 0.94:g} {-r * 0.56:g} {-r * 0.36:g} 0 {-r * 0.1:g}z"/>'
    back = "".join(f'<g transform="rotate({turn})">{one}</g>' for turn in (36, 108, 180, 252, 324))
    front = "".join(f'<g transform="rotate({turn}) scale(.9)">{one}</g>' for turn in (0, 72, 144, 216, 288))
    stamens = "".join(
        at(0, 0, f'<path d="M0 0V{-r * 0.3:g}" stroke="{MUM_PALE}" stroke-width="1.6"/><circle cy="{-r * 0.32:g}" r="{r * 0.05:g}" fill="{MUM}"/>', turn)
        for turn in range(0, 360, 24)
    )  # fmt: skip
    return f'<g fill="{shade}">{back}</g><g fill="{petal}">{front}</g>{stamens}<circle r="{r * 0.12:g}" fill="{MUM_PALE}"/>'


def fruit(radius: float, fill: str = TEA_MID, shade: str = TEA) -> str:
    """A camellia fruit with the seam along which it will split."""
    r = radius
    return (
        f'<circle r="{r:g}" fill="{fill}"/><path d="M{-r * 0.1:g} {-r:g}A{r:g} {r:g} 0 0 1 {-r * 0.1:g} {r:g}C{r * 0.5:g} {r * 0.5:g} {r * 0.5:g} {-r * 0.5:g} {-r * 0.1:g} {-r:g}z" fill="{shade}"/>'
        f'<circle cy="{-r:g}" r="{r * 0.16:g}" fill="{HONEY_LINE}"/>'
    )


def bee(scale: float = 1) -> str:
    """A native bee flying to the right."""
    wings = f'<ellipse cx="-2" cy="-12" rx="6" ry="11" fill="{SHEET}" transform="rotate(-24)"/><ellipse cx="6" cy="-11" rx="5" ry="10" fill="{SHEET}" transform="rotate(16)"/>'
    body = f'<ellipse rx="14" ry="8.500" fill="{HONEY}"/><path d="M-6-7.600q3 7.600 0 15.200M1-8.400q3 8.400 0 16.800" stroke="{INK}" stroke-width="3.600" fill="none"/>'
    return at(0, 0, wings + body + f'<circle cx="13" cy="-1" r="5" fill="{INK}"/>', -12, scale)


def hexagon(radius: float) -> str:
    """The path of a comb cell standing on a point, around the origin."""
    points = [
        (radius * math.sin(math.radians(60 * n)), -radius * math.cos(math.radians(60 * n))) for n in range(6)
    ]
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "z"


def drop(size: float, fill: str) -> str:
    """A drop hanging with its point at the origin."""
    s = size
    return f'<path d="M0 0C{s * 0.5:g} {s * 0.6:g} {s * 0.5:g} {s:g} 0 {s:g}S{-s * 0.5:g} {s * 0.6:g} 0 0z" fill="{fill}"/>'
