"""The command: python -m reliability MEASUREMENT [OPTIONS]; --help lists them.

Status 0: all promises held. 1: one was broken, and the text says which. 2: something
asked for cannot be honoured here.
"""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys

from reliability import results

MEASUREMENTS = ("faults", "attacks", "clients", "soak", "fuzz")
BROKEN, REFUSED = 1, 2


def parser() -> argparse.ArgumentParser:
    """Return the parser, with each measurement's own options."""
    top = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name in MEASUREMENTS:
        module = importlib.import_module(f"reliability.{name}")
        summary = (module.__doc__ or "").splitlines()[0]
        one = commands.add_parser(name, help=summary, description=summary)
        one.add_argument("--keep", action="store_true", help="in reliability/results/")
        module.add_options(one)
    commands.add_parser("document", help="write the tables of docs/reliability.md")
    return top


def columns() -> dict[str, tuple[str, ...]]:
    """Return the columns that the document shows of each measurement; (): all."""
    modules = {
        name: importlib.import_module(f"reliability.{name}") for name in MEASUREMENTS
    }
    return {name: getattr(module, "SHOWN", ()) for name, module in modules.items()}


def measure(options: argparse.Namespace) -> None:
    """Run one measurement, print its table, and keep it if asked to."""
    module = importlib.import_module(f"reliability.{options.command}")
    command = shlex.join(["python", "-m", "reliability", *sys.argv[1:]])
    rows = module.measure(options)
    for row in rows:
        print("  ".join(f"{name}: {results.shown(row[name])}" for name in row))
    if options.keep:
        results.keep(options.command, rows, command)


def main() -> int:
    """Do what the command line says; return the status."""
    options = parser().parse_args()
    try:
        if options.command == "document":
            text = results.DOCUMENT.read_text()
            results.DOCUMENT.write_text(results.write_tables(text, columns()))
        else:
            measure(options)
    except results.Broken as error:
        print(f"broken: {error}", file=sys.stderr)
        return BROKEN
    except ValueError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
