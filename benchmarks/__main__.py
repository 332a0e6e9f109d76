"""The command: python -m benchmarks [OPTIONS], or python -m benchmarks readme.

Without a word it measures and writes results.json, table.md and figure.png. `readme`
writes the table of the last results into README.md, `draw` makes table and figure
again. Status 2: something asked for cannot be honoured.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import idle, measures, peers, results, rounds
from benchmarks.bench import opened
from benchmarks.settings import IDLE_LIMIT, Settings, chosen
from netlab.kernel.limits import raised_descriptor_limit

ROOT = Path(__file__).resolve().parents[1]
KEPT, TRIED = ROOT / "benchmarks" / "results", ROOT / "runs" / "benchmarks"
QUICK = {"rounds": 1, "seconds": 1}
REFUSED = 2


def parser() -> argparse.ArgumentParser:
    """Return the parser; options that are not given are not in its result."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    words = ["run", "draw", "readme"]
    top.add_argument("command", nargs="?", choices=words, default="run")
    top.add_argument("--rounds", type=int, metavar="N", help="repetitions (5)")
    top.add_argument("--seconds", type=int, metavar="S", help="of one load (3)")
    top.add_argument("--seed", type=int, metavar="N", help="of the order (1)")
    top.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"servers: {', '.join(peers.NAMES)}"
    )
    top.add_argument(
        "--measures", nargs="+", metavar="NAME", help=", ".join(measures.NAMES)
    )
    top.add_argument(
        "--quick", action="store_true", help="one short round, kept in runs/"
    )
    top.add_argument("--out", type=Path, metavar="FOLDER", help="for the results")
    return top


def measure(settings: Settings, folder: Path) -> None:
    """Run the benchmark and write its results."""
    wanted = idle.most(IDLE_LIMIT) + idle.OWN  # servers inherit it
    with raised_descriptor_limit(wanted), opened(settings) as bench:
        bench.start_all()
        bench.require_equal_answers()
        rows = rounds.run_all(bench, measures.all_cases(bench))
        found = results.collect(bench, rows)
    results.save(found, folder)
    print((folder / results.TABLE).read_text())


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = vars(parser().parse_args(arguments))
    command, quick = options.pop("command"), options.get("quick", False)
    folder = options.pop("out", TRIED if quick else KEPT)
    commands: dict[str, Callable[[], None]] = {
        "run": lambda: measure(settings_of(options), folder),
        "draw": lambda: results.save(results.read(folder), folder),
        "readme": lambda: results.write_readme(
            ROOT / "README.md", results.read(folder)
        ),
    }
    try:
        commands[command]()
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def settings_of(options: dict[str, Any]) -> Settings:
    """Return the settings of these options; ValueError for what cannot be honoured."""
    quick = QUICK if options.get("quick") else {}
    wanted: dict[str, Any] = quick | options
    for key in ("only", "measures"):
        wanted[key] = tuple(wanted.get(key, ()))
    settings = Settings(**wanted)
    chosen("server", settings.only, peers.NAMES)  # refused now, not after the start
    chosen("measure", settings.measures, measures.NAMES)
    return settings


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
