"""The one list of all columns that the studies' tables have.

A name means the same in every table, so it is described once: its Frictionless type,
its unit and its meaning. A recording takes its schema from here, and refuses a column
that is not here. A new column of a study is a new row of this list.

Types: integer, number, string, boolean. The unit of a count is what is counted; ""
is a name, a text or an answer of yes or no.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Column(NamedTuple):
    """What a column holds."""

    type: str
    unit: str
    meaning: str


# One column is one line; a line for each of its parts would treble the list.
# fmt: off
COLUMNS = {
    # which run
    "strategy": Column("string", "", "row of the strategy table"),
    "engine": Column("string", "", "what ran the workers' loops: python or compiled"),
    "run_by": Column("string", "", "how workers ran: threads or processes, of what"),
    "workers_as": Column("string", "", "threads of one process, or processes"),
    "python": Column("string", "", "version of the server's interpreter"),
    "gil": Column("boolean", "", "whether the server's interpreter had a GIL"),
    "load": Column("string", "", "which of the study's loads was fired"),
    "repeat": Column("integer", "", "number of the repeat, from 0"),
    "repeats": Column("integer", "runs", "of which a cell is the median"),
    "workers": Column("integer", "workers", "how many the server had"),
    "rate_per_s": Column("integer", "1/s", "requests that the load aimed at"),
    "every": Column("string", "accepts", "after which a waiter registers anew"),
    "plan": Column("string", "", "rule by which the load's clients ask"),
    "at_once": Column("integer", "connections", "that the load had open at a time"),
    "counted_from": Column("string", "", "latency: from its sending, or when due"),
    "fired_s": Column("number", "s", "in which requests were sent, or due"),
    "percentile": Column("number", "%", "requests that took no longer"),
    "migrate": Column("boolean", "", "whether net.ipv4.tcp_migrate_req was on"),
    "client_cpu": Column("integer", "", "CPU that the load's process was bound to"),
    "registered": Column("string", "", "workers in the order of registration"),
    "rule": Column("string", "", "what the wait queue does with a waiter it woke"),
    "phase": Column("string", "", "before, while or after a worker is slow"),
    "family": Column("string", "", "what connections are shared by"),
    "company": Column("string", "", "whether somebody shares the worker's CPU"),
    "case": Column("string", "", "what the worker does, and what beside it"),
    "way": Column("string", "", "waited by: select, poll, epoll, epoll told anew"),
    "idle": Column("integer", "descriptors", "watched, at which nothing happened"),
    "active": Column("integer", "descriptors", "watched, at which something did"),
    # which connection, and whose
    "connection": Column("integer", "", "number of the accept in its run, from 1"),
    "worker": Column("integer", "", "number of the worker, from 0"),
    "worker_cpu": Column("integer", "", "CPU that the worker was bound to"),
    "cpu": Column("integer", "", "CPU of the thread at that time; -1: none"),
    "incoming_cpu": Column("integer", "", "SO_INCOMING_CPU of the connection"),
    "slow_worker": Column("integer", "", "number of the worker that was slow"),
    # clients of one worker, and its turns
    "server": Column("string", "", "which server, or how it serves"),
    "scene": Column("string", "", "what the clients do"),
    "client": Column("integer", "", "number of the client, as they connect, from 1"),
    "turn": Column("integer", "", "number of the loop's turn, from 1"),
    "who": Column("string", "", "whom the loop saw to: a client, or the listener"),
    "did": Column("string", "", "what it did"),
    # which thread, as `ps` lists it
    "bound": Column("boolean", "", "whether the workers were bound to a CPU each"),
    "pid": Column("integer", "", "number of the process"),
    "tid": Column("integer", "", "the kernel's number of the thread"),
    "psr": Column("integer", "", "CPU that the thread was last on"),
    "pcpu": Column("number", "%", "its CPU time, of the time since it began"),
    "comm": Column("string", "", "name of the thread"),
    "looks": Column("integer", "looks", "at which the worker had run on that CPU"),
    "together": Column("boolean", "", "whether two workers worked at once, or in turn"),
    # counts
    "accepts": Column("integer", "connections", "accepted in the run"),
    "slow_accepts": Column("integer", "connections", "that the slow worker had"),
    "connections": Column("integer", "connections", "of the run, or of the worker"),
    "clients": Column("integer", "clients", "waiting when the listener closed"),
    "reset": Column("integer", "clients", "whose connection was reset"),
    "answered": Column("integer", "clients", "that were answered"),
    "shares": Column("string", "connections", "of each worker, parted by a slash"),
    "woken": Column("integer", "workers", "wakings by one connection"),
    "ran": Column("integer", "workers", "woken that got a CPU, if traced"),
    "returned": Column("integer", "workers", "whose wait returned to the program"),
    "accepted": Column("integer", "connections", "accepted while it was watched"),
    "would_block": Column("integer", "accepts", "that found the queue empty"),
    "slept_again": Column("integer", "workers", "woken that never left the kernel"),
    "turns": Column("integer", "turns", "returns of the wait in the run"),
    "wakeups": Column("integer", "switches", "voluntary context switches in the run"),
    "closed": Column("integer", "connections", "closed by the worker in the run"),
    "requests": Column("integer", "requests", "answered in the run"),
    "held": Column("integer", "connections", "held by the server at that moment"),
    "stalls": Column("integer", "requests", "that kept their worker from all others"),
    "voluntary": Column("integer", "switches", "sleeps of the thread"),
    "involuntary": Column("integer", "switches", "times its CPU was taken from it"),
    "for_each_other": Column("number", "1/connection", "its own by the other's"),
    # per accept
    "wakeups_per_accept": Column("number", "1/accept", "voluntary context switches"),
    "turns_per_accept": Column("number", "1/accept", "returns of the wait"),
    "would_block_per_accept": Column("number", "1/accept", "accepts in vain"),
    "cpu_us_per_accept": Column("number", "us/accept", "CPU time of all workers"),
    # per second
    "accepts_per_s": Column("number", "1/s", "connections accepted"),
    "requests_per_s": Column("number", "1/s", "requests answered, first to last"),
    # shares and verdicts
    "share_percent": Column("number", "%", "connections that the slow worker had"),
    "slow_share_percent": Column("number", "%", "connections of the slow worker"),
    "top_share_percent": Column("number", "%", "connections of the top worker"),
    "kept_percent": Column("number", "%", "accepts that went where the rule says"),
    "on_time_percent": Column("number", "%", "requests sent when they were due"),
    "overdue_percent": Column("number", "%", "requests late by the load's fault"),
    "waited_percent": Column("number", "%", "requests late for want of a connection"),
    "schedule": Column("string", "", "of an open load: kept or not kept; else none"),
    "stall": Column("boolean", "", "whether the request kept its worker from others"),
    "seen": Column("string", "", "what the order looks like"),
    "as_expected": Column("boolean", "", "whether the order is the rule's"),
    # times
    "time_ms": Column("integer", "ms", "begin of the bin; 0: the worker becomes slow"),
    "phase_ms": Column("number", "ms", "that the phase lasted"),
    "duration_s": Column("number", "s", "first request until last answer"),
    "turn_us": Column("number", "us", "the wait, and a read of each that was ready"),
    "duration_us": Column("number", "us", "first waking until all sleep again"),
    "ran_ms": Column("number", "ms", "time in which the thread ran"),
    "waited_ms": Column("number", "ms", "time it was runnable and had no CPU"),
    "lasted_ms": Column("number", "ms", "time between two looks at the thread"),
    "at_ms": Column("integer", "ms", "when it was looked at, from the first look"),
    "memory_mb": Column("number", "MB", "resident memory of the server"),
    "cpu_percent": Column("number", "%", "CPU time since the look before, of one CPU"),
    "latency_ms": Column("number", "ms", "of one request, as its client saw it"),
    "due_ms": Column("number", "ms", "when it was to be sent, from the first"),
    "connected_ms": Column("number", "ms", "when connect returned, on the same clock"),
    "sent_ms": Column("number", "ms", "when it was sent, on the same clock"),
    "answered_ms": Column("number", "ms", "when it was answered, on the same clock"),
    "left_ms": Column("number", "ms", "when the client left, on the same clock"),
    "predicted_ms": Column("number", "ms", "when the rule says it is answered"),
    "work_ms": Column("number", "ms", "of work that the client asks for"),
    "stay_ms": Column("number", "ms", "that the client stays after its answer"),
    "p50_ms": Column("number", "ms", "latency that half of the requests kept to"),
    "p99_ms": Column("number", "ms", "latency that 99 % of the requests kept to"),
    "min_ms": Column("number", "ms", "least latency of the run"),
    "avg_ms": Column("number", "ms", "average latency of the run"),
    "med_ms": Column("number", "ms", "median latency of the run"),
    "max_ms": Column("number", "ms", "greatest latency of the run"),
    "dev_ms": Column("number", "ms", "standard deviation of the latencies"),
    # the atlas: a cell is a number or a text
    "measure": Column("string", "", "what the cell tells"),
    "unit": Column("string", "", "of the cell's number"),
    "value": Column("number", "its row's unit", "the cell, if it is a number"),
    "text": Column("string", "", "the cell, if it is a text"),
    "reason": Column("string", "", "why the strategy could not run"),
    # the x-ray: spans and marks
    "kind": Column("string", "", "span, or mark: a moment"),
    "thread": Column("string", "", "whose it is: the worker's, or the spinner's"),
    "what": Column("string", "", "the thread's state, or what it did"),
    "begin_ns": Column("integer", "ns", "on the monotonic clock"),
    "end_ns": Column("integer", "ns", "on the monotonic clock"),
}
# fmt: on


def described(names: Iterable[str], table: str) -> dict[str, Column]:
    """Return what the columns of a table hold; ValueError that names unknown ones."""
    names = list(names)
    if unknown := [name for name in names if name not in COLUMNS]:
        raise ValueError(
            f"table {table!r} has columns that nobody described: {', '.join(unknown)}; "
            "add them to netlab/study/columns.py"
        )
    return {name: COLUMNS[name] for name in names}
