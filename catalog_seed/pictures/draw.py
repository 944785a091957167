"""Writes every picture of the goods as an SVG file beside this one: ``python -m catalog_seed.pictures.draw``."""

from pathlib import Path

from catalog_seed.pictures import camellia_oil, chrysanthemum, honey, tea

FOLDER = Path(__file__).parent


def main() -> None:
    everything = tea.pictures() | chrysanthemum.pictures() | camellia_oil.pictures() | honey.pictures()
    for name, svg in everything.items():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(f"{len(everything)} pictures")


if __name__ == "__main__":
    main()
