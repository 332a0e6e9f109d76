"""All measures in rounds, each round in a shuffled order, so that no server has the
machine's better minutes: what drifts hits all alike. What needs no repetition is
measured in the first round.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import psutil

from benchmarks.bench import Bench, Case
from benchmarks.running import Missing

FAILURES = (Missing, OSError, ValueError, RuntimeError, psutil.Error)


def run_all(bench: Bench, cases: list[Case]) -> list[dict[str, Any]]:
    """Run all rounds; return a row per case and round, as it was measured.

    A case that fails is noted as missing with the reason, and the rest goes on.
    """
    order, rows = random.Random(bench.settings.seed), []
    for number in range(bench.settings.rounds):
        turn = [case for case in cases if number == 0 or not case.once]
        order.shuffle(turn)
        for case in turn:
            row = _measure(bench, case)
            if row is not None:
                what = {"measure": case.measure, "subject": case.subject}
                rows.append({"round": number, **what, **row})
    return rows


def _measure(bench: Bench, case: Case) -> dict[str, Any] | None:
    began = time.monotonic()
    try:
        return case.act()
    except FAILURES as error:
        bench.lack(case.measure, case.subject, str(error) or type(error).__name__)
        return None
    finally:
        took_s = time.monotonic() - began
        print(f"  {case.measure}: {case.subject} ({took_s:.1f} s)", file=sys.stderr)
