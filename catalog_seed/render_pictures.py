"""Renders ``pictures/*.svg`` to ``static/pictures/<name>-<size>.avif`` and ``.webp``: ``python -m catalog_seed.render_pictures``.

Needs Chromium (``chromium`` on the path, or ``CHROMIUM``) and Pillow. No file may pass 25 kB: a page shows a dozen of them to a phone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
RENDERED = Path(__file__).parent.parent / "static" / "pictures"
SIZES = (320, 800)
MOST_BYTES = 25_000
_A_SHEET = 6


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(
            "Chromium was not found; set CHROMIUM to its path. The rendered pictures in the tree stay as they are."
        )
        return 1
    RENDERED.mkdir(parents=True, exist_ok=True)
    drawn = sorted(PICTURES.glob("*.svg"))
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(drawn), _A_SHEET):
            some = drawn[start : start + _A_SHEET]
            for path, square in zip(some, photographed(chromium, some, Path(folder)), strict=True):
                save(path.stem, square)
            print(f"{min(start + _A_SHEET, len(drawn))}/{len(drawn)} pictures", flush=True)
    return 0


def photographed(chromium: str, drawn: list[Path], folder: Path) -> list[Image.Image]:
    """The pictures as 800 × 800 images. Several share one page, because starting Chromium takes longer than drawing."""
    largest = SIZES[-1]
    page, shot = folder / "sheet.html", folder / "sheet.png"
    images = "".join(f'<img src="{path.as_uri()}" width="{largest}" height="{largest}">' for path in drawn)
    page.write_text(f'<body style="margin:0;font-size:0">{images}</body>', encoding="utf-8")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={largest},{largest * len(drawn)}", f"--screenshot={shot}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as sheet:
        whole = sheet.convert("RGB")
    return [whole.crop((0, largest * place, largest, largest * (place + 1))) for place in range(len(drawn))]


def save(name: str, square: Image.Image) -> None:
    """Each size in both formats, at the best quality that stays under the limit."""
    for size in SIZES:
        image = square if size == square.width else square.resize((size, size), Image.Resampling.LANCZOS)
        for ending, qualities in (("avif", (72, 60, 48)), ("webp", (88, 78, 64, 50, 40, 30))):
            path = RENDERED / f"{name}-{size}.{ending}"
            for quality in qualities:
                image.save(path, quality=quality, speed=4, method=6)  # speed is AVIF's, method WebP's
                if path.stat().st_size <= MOST_BYTES:
                    break
            else:
                raise ValueError(f"{path.name} is {path.stat().st_size} bytes; simplify the drawing")


if __name__ == "__main__":
    sys.exit(main())
