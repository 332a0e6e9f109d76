"""The command line: python -m netlab COMMAND; `python -m netlab --help` lists them.

Every command is a table of options (`options`) and a function (`commands`) that returns
the status: 0 when all went well, 1 when a run, a load or a worker failed, 2 for a
setting that cannot be honoured. Messages go to standard error, results to standard
output; `--json` prints JSON and nothing else there: one object, or for the tables
of `doctor` and `strategies` one list.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from netlab.commands.output import FAILED, say
from netlab.commands.recording import record
from netlab.commands.reproducing import reproduce
from netlab.commands.running import load, run
from netlab.commands.serving import serve
from netlab.commands.telling import doctor, strategies
from netlab.commands.watching import ps, watch
from netlab.options import REFUSED, parser

COMMANDS: dict[str, Callable[[dict[str, Any]], int]] = {
    "serve": serve,
    "load": load,
    "ps": ps,
    "watch": watch,
    "doctor": doctor,
    "strategies": strategies,
    "run": run,
    "reproduce": reproduce,
    "record": record,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    purposes = {name: command.__doc__ for name, command in COMMANDS.items()}
    settings = vars(parser(__doc__, purposes).parse_args(arguments))
    command = COMMANDS[settings.pop("command")]
    try:
        status = command(settings)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest
        return 128 + signal.SIGPIPE
    except (ValueError, OSError) as error:
        say(str(error))
        return REFUSED
    except RuntimeError as error:
        say(str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
