"""``python -m bench [PART …]``: measure, and write the sections of docs/performance.md. Exits 1 if a part failed."""

import argparse
import sys
import time
import traceback
from pathlib import Path

from bench import machine, page
from bench.part import Run, known


def main() -> int:
    parts = known()
    ask = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog="Parts: " + ", ".join(f"{each.name} ({each.title})" for each in parts))
    ask.add_argument("parts", nargs="*", metavar="PART", help="which parts; default: all")
    ask.add_argument("--runs", type=int, default=Run.runs, help="how often each thing is measured, in turn; medians count (default %(default)s)")
    ask.add_argument("--seconds", type=float, default=Run.seconds, help="how long one measuring lasts (default %(default)s)")
    ask.add_argument("--engines", default=",".join(Run.engines), help="databases, by comma (default %(default)s)")
    ask.add_argument("--sizes", default=",".join(map(str, Run.sizes)), help="numbers of products, by comma (default %(default)s)")
    ask.add_argument("--folder", type=Path, default=Run.folder, help="where the parts write what they need (default %(default)s)")
    ask.add_argument("--dry", action="store_true", help="print the sections, and leave docs/performance.md alone")
    given = ask.parse_args()
    by_name = {each.name: each for each in parts}
    if unknown := set(given.parts) - set(by_name):
        ask.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(by_name)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        folder=given.folder.resolve(),
        runs=given.runs,
        seconds=given.seconds,
        engines=tuple(given.engines.split(",")),
        sizes=tuple(int(each) for each in given.sizes.split(",")),
    )
    failed = False
    for each in parts:
        if given.parts and each.name not in given.parts:
            continue
        began = time.monotonic()
        print(f"{each.name}: {each.title}", flush=True)
        how = f"{machine.described()}; {run.runs} runs in turn of {run.seconds:g} s, medians; other processes used {machine.busy_elsewhere():.1f} cores before"
        try:
            blocks = list(each.measure(run))
        except Exception:  # noqa: BLE001 -- one part's trouble is told, and the others still run
            traceback.print_exc()
            failed = True
            continue
        if given.dry:
            print("\n\n".join(blocks))
        else:
            page.write(each, how, blocks)
        print(f"{each.name}: {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
