"""What watching costs: the sampler at 20 looks a second, 8 workers, idle and loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

from benchmarks.bench import Bench, Case, Numbers
from benchmarks.running import ROOT, Missing, environment
from benchmarks.settings import CONNECTIONS

WORKERS = 8


def options(load: str, seconds: int) -> dict[str, object]:
    """Return the options of `netlab run` for a load that lasts so long."""
    if load == "idle":
        return {"--plan": "touch", "--connections": 1, "--hold-ms": 1000 * seconds}
    return {"--duration": seconds, "--at-once": CONNECTIONS}


def measure(load: str, seconds: int) -> Numbers:
    """Return the sampler's CPU time in one run, in percent of one CPU."""
    wanted = {"--workers": WORKERS, **options(load, seconds)}
    words = [str(word) for option in wanted.items() for word in option]
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "run", "--json", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return {"cost_percent": json.loads(done.stdout)["sampler_cost_percent"]}


def cases(bench: Bench) -> list[Case]:
    """Return a case without and one with a load."""
    seconds = bench.settings.seconds
    return [
        Case("sampler", load, partial(measure, load, seconds))
        for load in ("idle", "loaded")
    ]
