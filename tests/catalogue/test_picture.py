"""Pictures that cooperatives bring: drawn anew, without what a camera hides in them; bombs and nonsense are refused."""

import struct
import subprocess
import sys
import zlib
from io import BytesIO

import pytest
from PIL import Image

from marketplace.catalogue import picture
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, NotAllowed, NotFound
from marketplace.foundation.files import StoredFile
from tests import builders


def photograph(size: tuple[int, int] = (900, 700), form: str = "JPEG", mode: str = "RGB") -> bytes:
    """A picture with a place and a camera's name in it."""
    made = Image.new(mode, size, "#3f6b4f")
    exif = Image.Exif()
    exif[0x010F] = "SECRET CAMERA"
    exif[0x0112] = 6  # lies on its side
    exif.get_ifd(0x8825)[2] = (28.0, 51.0, 42.0)  # latitude
    out = BytesIO()
    made.save(out, form, exif=exif)
    return out.getvalue()


def bomb() -> bytes:
    """A small PNG that says it is 40,000 by 40,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB")])
def test_a_picture_is_drawn_anew_in_two_sizes_and_two_forms(form: str, mode: str) -> None:
    brought = photograph(form=form, mode=mode)
    assert b"SECRET CAMERA" in brought
    drawn = picture.draw(brought)
    assert set(drawn.parts) == {"320.avif", "320.webp", "800.avif", "800.webp"}
    for part, content in drawn.parts.items():
        assert b"SECRET CAMERA" not in content
        with Image.open(BytesIO(content)) as small:
            size = int(part.partition(".")[0])
            assert (small.format, small.size, dict(small.getexif())) == (part.partition(".")[2].upper(), (size, size), {})


def test_a_telephones_picture_takes_little_memory() -> None:
    """Forty-nine million pixels: at full size each copy would be 200 MB."""
    made = Image.new("RGB", (7000, 7000), "#3f6b4f")
    made.paste("#c98a1b", (0, 0, 3500, 7000))
    out = BytesIO()
    made.save(out, "JPEG", quality=60)
    program = (
        "import resource, sys; from marketplace.catalogue import picture; content = sys.stdin.buffer.read();"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; parts = picture.draw(content).parts;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(parts))"
    )
    said = subprocess.run([sys.executable, "-c", program], input=out.getvalue(), capture_output=True, check=True).stdout.split()
    kilobytes, parts = int(said[0]), int(said[1])
    assert (parts, kilobytes < 150_000) == (4, True), kilobytes


def test_it_stands_upright_as_the_camera_was_held() -> None:
    made = Image.new("RGB", (900, 700), "#ffffff")
    made.paste("#a8322d", (0, 0, 900, 120))  # what was at the top of the sensor
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter: the top of the sensor is on the right
    out = BytesIO()
    made.save(out, "PNG", exif=exif)
    with Image.open(BytesIO(picture.draw(out.getvalue()).parts["320.webp"])) as small:
        red, white = small.getpixel((310, 160)), small.getpixel((10, 160))
    assert red[0] - red[1] > 80
    assert min(white) > 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "picture.unreadable"),
        (b"GIF89a" + b"\0" * 100, "picture.unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture.unreadable"),
        (photograph()[:2000], "picture.unreadable"),
        (photograph((900, 599)), "picture.small"),
        (bomb(), "picture.bomb"),
        (b"\xff" * (picture.LARGEST + 1), "picture.large"),
    ],
    ids=["nothing", "gif", "svg", "cut off", "small", "bomb", "large"],
)
def test_what_is_no_good_picture_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        picture.draw(content)
    assert (refused.value.code, refused.value.data["field"]) == (code, "picture")


@pytest.mark.usefixtures("app")
def test_it_is_kept_once_and_is_the_cooperatives_own() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    drawn = picture.draw(photograph())
    first = transaction(lambda: picture.keep(drawn, actor=market.clerk)).public_id
    assert transaction(lambda: picture.keep(drawn, actor=market.clerk)).public_id == first
    assert transaction(lambda: picture.keep(drawn, actor=other.clerk)).public_id != first
    assert {row.sensitivity for row in db.session.query(StoredFile)} == {"PUBLIC"}
    assert picture.file_of(first, "800.webp").read() == drawn.parts["800.webp"]
    with pytest.raises(NotFound):
        picture.file_of(first, "1200.webp")
    picture.must_be_own(f"up/{first}", market.cooperative)
    for name in (f"up/{first}", "tea-mist"):
        with pytest.raises(NotFound):
            picture.must_be_own(name, other.cooperative)
    db.session.rollback()
    with pytest.raises(NotAllowed), transaction():
        picture.keep(drawn, actor=market.accountant)
