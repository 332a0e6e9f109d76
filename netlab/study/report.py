"""The figures of a run, each from its tables.

`python -m netlab run` prints them under the same names, with `conserved`: a run
that does not add up raises instead:

    accepts                     per worker: connections it owned
    accept_wakeups_per_accept   plans that hold: wake-ups until all were, per accept
    accept_turns_per_accept, accept_would_block_per_accept, accept_cpu_us_per_accept
                                the same for turns, would-blocks and the workers' CPU
                                time: what accepting alone costs
    wakeups_per_accept          wake-ups of all workers over the run, per accept
    turns_per_accept            the same for returns of the wait call
    would_block_per_accept      the same for accepts that found an empty queue
    order                       owners of the first 100 connections, see `write_order`
    jain                        Jain's index of `accepts`
    statuses                    answers by status
    p50_us ... max_us           latencies as the client saw them
    requests_per_s              requests by the time from the first to the last
    load_cpu_us_per_request     CPU time of the load's process per request
    late_sends                  plan open: sent more than 1 ms after they were due,
                                `overdue` by the load's fault, or because they
                                `waited` for a free connection
    on_time_percent             plan open: the others, in percent
    schedule                    plan open: "kept", or who did not keep it
    server_cpu_us_per_request   CPU time of the workers per answer

Latencies of plan open count from the moment that a request was due, those of the
other plans from its sending.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab import counters
from netlab.load.result import LoadResult
from netlab.study.stats import (
    jain,
    latency_figures,
    on_time_percent,
    schedule_verdict,
)

if TYPE_CHECKING:
    import pandas as pd

ORDER_LENGTH = 100
ACCEPT_FIGURES = (
    "accept_wakeups_per_accept",
    "accept_turns_per_accept",
    "accept_would_block_per_accept",
    "accept_cpu_us_per_accept",
)
DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase


def run_figures(
    rows: np.ndarray,
    accepts: pd.DataFrame,
    held: np.ndarray | None,
    load: LoadResult,
) -> dict[str, Any]:
    """Return the figures of a run whose two sides agree, JSON-safe.

    rows: final counter rows. held: those of the moment when all connections were
    held open, None for plans that do not hold. accepts: the accept log, by time.
    """
    total = counters.total(rows)
    owners = (rows["accepted"] + rows["received"] - rows["given"]).tolist()
    cpu_us = total["cpu_ns"] / 1000
    return {
        "accepts": owners,
        **_accept_figures(held),
        "wakeups_per_accept": _ratio(total["wakeups"], total["accepted"]),
        "turns_per_accept": _ratio(total["turns"], total["accepted"]),
        "would_block_per_accept": _ratio(total["would_block"], total["accepted"]),
        "order": write_order(accepts["owner"].tolist()[:ORDER_LENGTH]),
        "accept_order": write_order(accepts["acceptor"].tolist()[:ORDER_LENGTH]),
        "jain": round(jain(owners), 4) if sum(owners) else None,
        **_client_figures(load),
        "server_cpu_us_per_request": _ratio(cpu_us, total["answers"]),
    }


def load_figures(load: LoadResult) -> dict[str, Any]:
    """Return the figures of a load alone, fired at any server, JSON-safe."""
    workers, answers = np.unique(load.request_rows["worker"], return_counts=True)
    return {
        "settings": load.recorded(),
        "connections": len(load.connection_rows),
        "requests": len(load.request_rows),
        "failures": {kind.name.lower(): n for kind, n in load.failures().items()},
        "unanswered": load.unanswered,
        "answers": dict(zip(map(str, workers), answers.tolist(), strict=True)),
        **_client_figures(load),
    }


def write_order(workers: list[int]) -> str:
    """Write worker numbers as one character each: 0-9, a-z, A-Z.

    With a number above 61 in it, as decimal numbers with spaces between.
    """
    if max(workers, default=0) < len(DIGITS):
        return "".join(DIGITS[number] for number in workers)
    return " ".join(map(str, workers))


def _client_figures(load: LoadResult) -> dict[str, Any]:
    """Return what the clients' rows alone tell."""
    requests, late = load.request_rows, load.late()
    sent = len(requests)
    cpu_us = None if load.cpu_ns is None else load.cpu_ns / 1000
    return {
        "statuses": _statuses(load),
        **latency_figures(requests["latency_ns"]),
        "requests_per_s": _rate(requests),
        "load_cpu_us_per_request": None if cpu_us is None else _ratio(cpu_us, sent),
        "late_sends": late,
        "on_time_percent": None if late is None else on_time_percent(sent, late),
        "schedule": None if late is None else schedule_verdict(sent, late),
    }


def _statuses(load: LoadResult) -> dict[str, int]:
    """Return how many requests were answered with each status."""
    statuses, counts = np.unique(load.request_rows["status"], return_counts=True)
    return dict(zip(map(str, statuses.tolist()), counts.tolist(), strict=True))


def _accept_figures(held: np.ndarray | None) -> dict[str, float | None]:
    """Return what was counted until all connections were held, per accept."""
    if held is None:
        return dict.fromkeys(ACCEPT_FIGURES)
    total = counters.total(held)
    counted = (
        total["wakeups"],
        total["turns"],
        total["would_block"],
        total["cpu_ns"] / 1000,
    )
    ratios = (_ratio(count, total["accepted"]) for count in counted)
    return dict(zip(ACCEPT_FIGURES, ratios, strict=True))


def _ratio(count: float, by: int) -> float | None:
    return round(count / by, 4) if by else None


def _rate(requests: np.ndarray) -> float | None:
    """Return requests per second, from the first start to the last answer."""
    if not len(requests):
        return None
    ends = requests["start_ns"] + requests["latency_ns"]
    seconds = float(ends.max() - requests["start_ns"].min()) / 1e9
    return round(len(requests) / seconds, 1)
