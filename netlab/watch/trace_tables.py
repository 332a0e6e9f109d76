"""The tables of a trace: events, what they mean, the figure's rows, and the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.watch import trace_events
from netlab.watch.trace_events import ASLEEP, BEGIN, END, EVENTS, Event, Life, Span

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.06  # of the window: some of the sleep before and after is seen
NOWHERE = -1  # the CPU of a mark, which is a moment
COUNTS = {  # the columns of a summary, and what a Life calls them
    "woken": "woken",
    "ran": "ran",
    "returned": "returned",
    "accepted": trace_events.ACCEPT,
    "would_block": trace_events.EAGAIN,
    "slept_again": trace_events.NEVER_RETURNED,
}


def table(events: Iterable[Event]) -> pd.DataFrame:
    """Return a row per event, with the fields of `Event` as columns."""
    import pandas as pd

    return pd.DataFrame(events, columns=list(Event._fields)).astype(_types())


def _types() -> dict[str, type | str]:
    return {name: str if name == "event" else "int64" for name in Event._fields}


def lives(events: pd.DataFrame) -> list[Life]:
    """Return what became of each worker, see `trace_events.lives`."""
    return trace_events.lives(map(Event._make, events.itertuples(index=False)))


def spans(events: pd.DataFrame) -> pd.DataFrame:
    """Return a row per stretch of a worker: worker, tid, state, begin_ns, end_ns, cpu.

    state is "asleep", "runnable" (woken, waits for a CPU) or "running".
    """
    import pandas as pd

    found = [span for life in lives(events) for span in life.spans]
    return pd.DataFrame(found, columns=list(trace_events.Span._fields))


def marks(events: pd.DataFrame) -> pd.DataFrame:
    """Return a row per moment that matters: worker, time_ns, mark.

    mark is "accept" (it got a connection), "EAGAIN" (another was faster), "never
    returned" (woken, it fell asleep again inside its wait) or "failed" (an accept,
    for another reason).
    """
    import pandas as pd

    found = [mark for life in lives(events) for mark in life.marks]
    types = {"worker": "int64", "time_ns": "int64", "mark": str}
    return pd.DataFrame(found, columns=list(types)).astype(types)


def summary(events: pd.DataFrame) -> pd.DataFrame:
    """Return a row per worker: how often it was woken, and what came of it.

    Columns: worker, tid, woken, ran (got a CPU), returned (its waits, to the
    program), accepted, would_block, slept_again (never returned).
    """
    import pandas as pd

    return pd.DataFrame(
        {"worker": life.worker, "tid": life.tid}
        | {name: life.counts[counted] for name, counted in COUNTS.items()}
        for life in lives(events)
    )


def figure_table(events: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the x-ray: kind, worker, what, begin_ns, end_ns, cpu.

    kind is "span" (what: its state) or "mark" (what: its name, begin_ns = end_ns).
    The window is from the first waking until the last worker sleeps again, and a
    little around.

    Raises ValueError if no worker was woken.
    """
    import pandas as pd

    found = lives(events)
    stretches = [span for life in found for span in life.spans]
    from_ns, to_ns = _window(stretches)
    rows: list[tuple[str, int, str, int, int, int]] = [
        ("span", worker, state, max(begin_ns, from_ns), min(end_ns, to_ns), cpu)
        for worker, _, state, begin_ns, end_ns, cpu in stretches
        if end_ns > from_ns and begin_ns < to_ns
    ]
    rows += [
        ("mark", worker, mark, time_ns, time_ns, NOWHERE)
        for life in found
        for worker, time_ns, mark in life.marks
        if from_ns <= time_ns <= to_ns
    ]
    columns = ["kind", "worker", "what", "begin_ns", "end_ns", "cpu"]
    return pd.DataFrame(rows, columns=columns)


def _window(stretches: list[Span]) -> tuple[int, int]:
    """Return where the figure begins and ends."""
    begin_ns = min(span.begin_ns for span in stretches)
    end_ns = max(span.end_ns for span in stretches)
    sleeps = [span for span in stretches if span.state == ASLEEP]
    wakings_ns = [span.end_ns for span in sleeps if span.end_ns < end_ns]
    if not wakings_ns:
        raise ValueError("no worker was woken: open a connection while it is traced")
    first_ns, last_ns = min(wakings_ns), max(span.begin_ns for span in sleeps)
    if any(span.end_ns == end_ns and span.state != ASLEEP for span in stretches):
        last_ns = end_ns  # somebody is awake to the end
    margin_ns = int(MARGIN * (last_ns - first_ns))
    return max(first_ns - margin_ns, begin_ns), min(last_ns + margin_ns, end_ns)


def save_events(events: pd.DataFrame, path: str | Path) -> Path:
    """Write the events as CSV to a new file and return its path.

    Raises FileExistsError if there is something already: nothing is lost.
    """
    path = Path(path)
    with path.open("x", newline="") as file:
        events.to_csv(file, index=False, lineterminator="\n")
    return path


def open_events(path: str | Path) -> pd.DataFrame:
    """Read saved events: the same values, columns and types.

    Raises FileNotFoundError or ValueError that names the file and the remedy.
    """
    import pandas as pd

    path = Path(path)
    try:
        _whole(path)
        events = pd.read_csv(path, keep_default_na=False)
        _check(events)
        return events.astype(_types())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing: save the events again") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; save it again") from error


def _whole(path: Path) -> None:
    """Raise ValueError for a file that was cut short within its last line."""
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError("its last line has no end")


def _check(events: pd.DataFrame) -> None:
    """Raise ValueError unless these are the events of a whole trace."""
    if tuple(events.columns) != Event._fields:
        raise ValueError(f"its columns are {', '.join(events.columns)}")
    if unknown := sorted(set(events["event"].astype(str)) - set(EVENTS)):
        raise ValueError(f"there is no event {', '.join(unknown)}")
    for name, workers in events.groupby("event")["worker"]:
        if name in (BEGIN, END) and set(workers) != set(events["worker"]):
            raise ValueError(f"not every worker has a row {name!r}")
