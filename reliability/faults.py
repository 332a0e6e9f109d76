"""What can go wrong, each made to go wrong while well-behaved clients ask.

A fault is a row of the list: its name, what does it, and to which kinds of server.
Those whose rows say `may_cut` end connections of clients that behave, because they end
what served them; no other may.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from reliability import (
    faults_clients,
    faults_descriptors,
    faults_disk,
    faults_ends,
    faults_notebook,
)
from reliability.results import Rows
from reliability.served import KINDS
from reliability.trial import Fault, Trial

ALL = tuple(KINDS)
ONE_QUEUE = ALL[:6]
LEVEL = ALL[:4]
PYTHON = (ALL[0], ALL[2], ALL[4])
PROCESSES = (ALL[2], ALL[3])
NOWHERE = ("none",)

FAULTS = (
    Fault("no descriptor left", faults_descriptors.out_of_descriptors, ALL),
    Fault("no file, buffer or memory left", faults_descriptors.out_of_memory, ALL),
    Fault("gone before accepted", faults_descriptors.gone_in_the_queue, ALL),
    Fault("clients that vanish by a reset", faults_clients.resets, ALL),
    Fault("clients that say no more", faults_clients.half_closed, ALL),
    Fault("clients that read nothing", faults_clients.reads_nothing, ALL),
    Fault("one byte at a time", faults_clients.byte_by_byte, ALL),
    Fault("idle clients beyond the bound", faults_clients.beyond_the_bound, ONE_QUEUE),
    Fault("more connects than the queue holds", faults_clients.storm, LEVEL),
    Fault("an error in a request", faults_ends.error_in_a_request, PYTHON),
    Fault("a worker that dies", faults_ends.worker_that_dies, PYTHON, may_cut=True),
    Fault("a worker killed", faults_ends.killed_worker, PROCESSES, may_cut=True),
    Fault("the host killed", faults_ends.killed_host, PROCESSES, may_cut=True),
    Fault("a load killed", faults_ends.killed_load, LEVEL),
    Fault("SIGINT", faults_ends.interrupted, LEVEL, may_cut=True),
    Fault("SIGTERM", faults_ends.terminated, LEVEL, may_cut=True),
    Fault("a kernel restarted", faults_notebook.restarted, LEVEL, may_cut=True),
    Fault("a full disk", faults_disk.full_disk, NOWHERE),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--times", type=int, default=20, help="how often each")
    parser.add_argument("--only", default="", help="faults whose names have this")
    parser.add_argument("--kind", default="", help="kinds of server, likewise")


def measure(options: argparse.Namespace) -> Rows:
    """Do every fault to every kind of server; Broken at the first broken promise."""
    if options.times < 1:
        raise ValueError(f"--times {options.times}: give a whole number above 0")
    wanted = [
        (fault, kind)
        for fault in FAULTS
        for kind in fault.kinds
        if options.only in fault.name and options.kind in kind
    ]
    if not wanted:
        raise ValueError(
            f"--only {options.only!r} --kind {options.kind!r}: there are faults "
            f"{', '.join(fault.name for fault in FAULTS)}, and kinds {', '.join(ALL)}"
        )
    return [done(fault, kind, options.times) for fault, kind in wanted]


def done(fault: Fault, kind: str, times: int) -> dict[str, Any]:
    """Do one fault to one kind of server; return its row, and say how long it took."""
    began = time.monotonic()
    trial = Trial(fault, kind, times)
    row = trial.row(fault.may_cut, fault.do(trial))
    took_s = time.monotonic() - began
    print(f"{took_s:6.1f} s  {fault.name}, {kind}", file=sys.stderr)
    return row
