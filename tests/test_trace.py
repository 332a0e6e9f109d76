"""A trace: what its events mean (without root), and that the kernel's are right."""

import errno
import itertools
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netlab
from netlab.kernel import threads
from netlab.server import engines
from netlab.watch import trace_buffer, trace_tables, tracefs
from netlab.watch.trace import Trace, available
from netlab.watch.trace_events import BEGIN, END, EVENTS, Event, lives
from netlab.watch.trace_tables import (
    figure_table,
    marks,
    open_events,
    save_events,
    spans,
    summary,
)
from tests.bounded import ENVIRONMENT, left_behind, until

REASON = available()
traced = pytest.mark.skipif(REASON is not None, reason=str(REASON))
compiled = pytest.mark.skipif(
    engines.find("compiled").missing() is not None, reason="there is no Numba"
)
SLEEPS, LOCKED, PREEMPTED = 1, 2, 0
AGAIN = -errno.EAGAIN


def story(worker, *steps, asleep=1, end=100):
    """The events of one worker; a step is (time, event) or (time, event, value)."""
    tid, begin = 10 + worker, (0, BEGIN, asleep)
    return [
        Event(time, tid, worker, worker % 2, event, *value)
        for time, event, *value in (begin, *steps, (end, END))
    ]


def table_of(*stories):
    rows = sorted((event for own in stories for event in own), key=lambda e: e.time_ns)
    return trace_tables.table(rows)


WINNER = story(
    0, (10, "waking"), (11, "wakeup"), (20, "switch_in"), (22, "wait_exit", 1),
    (24, "accept_enter"), (26, "accept_exit", 7), (28, "wait_enter"),
    (30, "switch_out", SLEEPS),
)  # fmt: skip
LATE = story(
    1, (12, "waking", 1), (13, "wakeup", 1), (25, "switch_in"), (26, "wait_exit", 1),
    (27, "accept_enter"), (29, "accept_exit", AGAIN), (33, "wait_enter"),
    (36, "switch_out", SLEEPS),
)  # fmt: skip
IN_VAIN = story(
    2, (14, "waking"), (15, "wakeup"), (30, "switch_in"), (34, "switch_out", SLEEPS)
)
NEVER_WOKEN = story(3)
HERD = table_of(WINNER, LATE, IN_VAIN, NEVER_WOKEN)


def states(*steps, **how):
    """The spans of one worker, as (state, begin, end)."""
    (life,) = lives(story(0, *steps, **how))
    return [(span.state, span.begin_ns, span.end_ns) for span in life.spans]


def counts(*steps, **how):
    row = summary(table_of(story(0, *steps, **how))).iloc[0]
    return {name: int(row[name]) for name in row.index if row[name]}


# -- what events mean -----------------------------------------------------------------


def test_a_herd_of_three_and_one_who_was_left_alone():
    table = summary(HERD).set_index("worker")
    assert table["woken"].tolist() == [1, 1, 1, 0]
    assert table["ran"].tolist() == [1, 1, 1, 0]
    assert table["returned"].tolist() == [1, 1, 0, 0]
    assert table["accepted"].tolist() == [1, 0, 0, 0]
    assert table["would_block"].tolist() == [0, 1, 0, 0]
    assert table["slept_again"].tolist() == [0, 0, 1, 0]
    assert table["tid"].tolist() == [10, 11, 12, 13]


def test_marks_stand_where_it_happened():
    assert marks(HERD).to_numpy().tolist() == [
        [0, 26, "accept"], [1, 29, "EAGAIN"], [2, 34, "never returned"],
    ]  # fmt: skip
    assert len(marks(table_of(NEVER_WOKEN))) == 0
    assert list(marks(HERD).dtypes) == list(marks(table_of(NEVER_WOKEN)).dtypes)


def test_spans_are_the_states_in_turn():
    assert states(*[event[0:1] + event[4:6] for event in WINNER[1:-1]]) == [
        ("asleep", 0, 10), ("runnable", 10, 20), ("running", 20, 30),
        ("asleep", 30, 100),
    ]  # fmt: skip
    assert spans(table_of(NEVER_WOKEN)).to_numpy().tolist() == [
        [3, 13, "asleep", 0, 100, 1]
    ]


def test_a_thread_whose_cpu_was_taken_is_runnable():
    steps = [(10, "waking"), (20, "switch_in"), (30, "switch_out", PREEMPTED),
             (40, "switch_in"), (50, "switch_out", SLEEPS)]  # fmt: skip
    assert states(*steps) == [
        ("asleep", 0, 10), ("runnable", 10, 20), ("running", 20, 30),
        ("runnable", 30, 40), ("running", 40, 50), ("asleep", 50, 100),
    ]  # fmt: skip
    assert counts(*steps)["woken"] == counts(*steps)["slept_again"] == 1
    assert counts(*steps)["ran"] == 2


def test_a_waking_before_the_thread_has_left_its_cpu_changes_nothing():
    begin = ((5, "wait_exit", 1), (10, "wakeup"))
    assert states(*begin, asleep=0) == [("running", 0, 100)]
    late = (*begin, (12, "waking"), (13, "switch_out", SLEEPS), (20, "wakeup"))
    assert states(*late, asleep=0) == [
        ("running", 0, 13), ("asleep", 13, 20), ("runnable", 20, 100)
    ]  # fmt: skip


def test_where_it_runs_is_the_last_word():
    steps = [(10, "waking", 0), (15, "wakeup", 1), (20, "switch_in")]
    found = spans(table_of(story(4, *steps)))
    assert found["cpu"].tolist() == [0, 0, 0]  # switch_in is the last word
    found = spans(table_of(story(4, *steps[:2])))
    assert found["cpu"].tolist() == [0, 1]


def test_a_missing_switch_is_made_up_for():
    steps = [(10, "waking"), (25, "wait_exit", 1), (30, "switch_out", SLEEPS)]
    assert states(*steps)[1:3] == [("runnable", 10, 25), ("running", 25, 30)]
    assert counts(*steps) == counts(*steps[:1], (20, "switch_in"), *steps[1:])
    steps = [(10, "waking"), (30, "switch_out", SLEEPS)]
    assert states(*steps) == [
        ("asleep", 0, 10), ("runnable", 10, 30), ("asleep", 30, 100)
    ]  # fmt: skip
    assert counts(*steps)["slept_again"] == counts(*steps)["ran"] == 1


def test_a_sleep_outside_the_call_is_no_return_to_it():
    waits_for_the_gil = [
        (10, "waking"), (11, "switch_in"), (12, "wait_exit", 1),
        (13, "switch_out", SLEEPS), (20, "waking"), (21, "switch_in"),
        (22, "switch_out", SLEEPS), (30, "waking"), (31, "switch_in"),
        (32, "accept_enter"), (33, "accept_exit", AGAIN), (34, "wait_enter"),
        (35, "switch_out", SLEEPS),
    ]  # fmt: skip
    found = counts(*waits_for_the_gil)
    assert found["woken"] == 3
    assert "slept_again" not in found


def test_a_lock_inside_the_call_is_no_return_to_sleep():
    found = counts(
        (10, "waking"), (11, "switch_in"), (12, "switch_out", LOCKED),
        (20, "waking"), (21, "switch_in"), (22, "wait_exit", 1),
    )  # fmt: skip
    assert found["woken"] == 2
    assert "slept_again" not in found


def test_an_accept_in_which_a_worker_waits_counts_like_a_wait():
    found = counts(
        (10, "waking"), (11, "switch_in"), (12, "accept_exit", 5), (13, "accept_enter"),
        (14, "switch_out", SLEEPS), (20, "waking"), (21, "switch_in"),
        (22, "switch_out", SLEEPS),
    )  # fmt: skip
    assert (found["accepted"], found["slept_again"]) == (1, 1)


def test_an_accept_that_fails_otherwise_is_told_apart():
    table = table_of(story(0, (10, "accept_exit", -errno.EMFILE), asleep=0))
    assert marks(table)["mark"].tolist() == ["failed"]
    assert summary(table)[["accepted", "would_block"]].to_numpy().tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("first", "asleep", "state"),
    [
        ("waking", 0, "asleep"),
        ("wakeup", 0, "asleep"),
        ("switch_in", 1, "runnable"),
        ("switch_out", 1, "running"),
        ("wait_exit", 1, "running"),
        (None, 1, "asleep"),
        (None, 0, "running"),
    ],
)
def test_the_first_event_tells_how_it_was_before(first, asleep, state):
    steps = [(10, first, 0)] if first else []
    assert states(*steps, asleep=asleep)[0][0] == state


@pytest.mark.parametrize("lacking", [0, -1])
def test_events_without_an_end_are_refused(lacking):
    events = [*WINNER, *IN_VAIN]
    del events[lacking if lacking else 0]
    with pytest.raises(ValueError, match=r"worker [02]'s events do not go from"):
        lives(events)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.sampled_from([name for name in EVENTS if name not in (BEGIN, END)]),
        st.integers(0, 2),
    )
)


@given(STEPS, st.booleans())
def test_whatever_happens_the_states_fill_the_time(steps, asleep):
    steps.sort(key=lambda step: step[0])
    found = states(*steps, asleep=int(asleep))
    assert found[0][1] == 0
    assert found[-1][2] == 100
    for (state, _, end), (after, begin, _) in itertools.pairwise(found):
        assert end == begin
        assert state != after


# -- the figure's rows ----------------------------------------------------------------


def test_the_figure_shows_all_from_the_first_waking_to_the_last_sleep():
    table = figure_table(HERD)
    assert set(table["worker"]) == {0, 1, 2, 3}
    assert table.columns.tolist() == [
        "kind", "worker", "what", "begin_ns", "end_ns", "cpu",
    ]  # fmt: skip
    own = table[(table["kind"] == "span") & (table["worker"] == 1)]
    assert own["what"].tolist() == ["asleep", "runnable", "running", "asleep"]
    assert table["begin_ns"].min() == 10 - 1  # 6 % of the 26 before and after
    assert table["end_ns"].max() == 36 + 1
    spans_only = table[table["kind"] == "span"]
    assert (spans_only["begin_ns"] < spans_only["end_ns"]).all()
    for _, rows in spans_only.groupby("worker"):
        assert (rows["begin_ns"].min(), rows["end_ns"].max()) == (9, 37)
    seen = table[table["kind"] == "mark"]
    assert seen["begin_ns"].tolist() == seen["end_ns"].tolist() == [26, 29, 34]


def test_the_figure_goes_on_while_somebody_is_awake():
    table = figure_table(table_of(IN_VAIN, story(0, (10, "waking"), (20, "switch_in"))))
    assert table["end_ns"].max() == 100


def test_a_figure_of_nobody_woken_is_refused():
    with pytest.raises(ValueError, match="no worker was woken: open a connection"):
        figure_table(table_of(NEVER_WOKEN))


# -- the file -------------------------------------------------------------------------


def test_a_saved_trace_opens_as_it_was(tmp_path):
    path = save_events(HERD, tmp_path / "events.csv")
    pd.testing.assert_frame_equal(open_events(path), HERD)
    with pytest.raises(FileExistsError):
        save_events(HERD, path)


def drop_last_byte(text):
    return text[:-1]


def drop_last_line(text):
    return text[: text[:-1].rindex("\n") + 1]


def rename_column(text):
    return text.replace("tid", "thread", 1)


def unknown_event(text):
    return text.replace("wakeup", "woke up", 1)


def broken_number(text):
    return text.replace("\n10,", "\n1x,", 1)


def no_number(text):
    return text.replace("\n10,", "\n,", 1)


@pytest.mark.parametrize(
    "damage",
    [drop_last_byte, drop_last_line, rename_column, unknown_event, broken_number,
     no_number, lambda text: ""],
)  # fmt: skip
def test_a_damaged_trace_is_refused_by_name(tmp_path, damage):
    path = save_events(HERD, tmp_path / "events.csv")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=r"events\.csv is damaged: .*; save it again"):
        open_events(path)


def test_a_trace_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"events\.csv is missing"):
        open_events(tmp_path / "events.csv")


# -- the kernel's bytes ---------------------------------------------------------------

FORMAT = """name: sched_switch
ID: 372
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;
\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;
\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;
\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;

print fmt: "prev_pid=%d", REC->prev_pid
"""


def switch(before, state, after):
    return struct.pack("<HHi16siiq16sii", 372, 0, 9, b"", before, 0, state, b"", after,
                       0)  # fmt: skip


def record(data, delta, kind=None):
    kind = len(data) // 4 if kind is None else kind
    return struct.pack("<I", delta << 5 | kind) + data


def page(*recorded, begin=1000, flags=0):
    body = b"".join(recorded)
    return (struct.pack("<QQ", begin, len(body) | flags) + body).ljust(4096, b"\0")


def number(value):
    return struct.pack("<I", value)


def times(*recorded, **how):
    return [found.time_ns for found in trace_buffer.records(page(*recorded, **how))]


def test_a_format_says_where_the_fields_are():
    form = trace_buffer.parse_format(FORMAT)
    assert (form.number, form.name) == (372, "sched_switch")
    assert form.fields["prev_state"] == (32, 8)
    assert form.fields["prev_comm"] == (8, 16)
    with pytest.raises(ValueError, match="no format of an event"):
        trace_buffer.parse_format("nothing")


def test_times_are_the_sums_of_the_differences():
    data = number(1)
    assert times(record(data, 0), record(data, 5), record(data, 7)) == [
        1000, 1005, 1012,
    ]  # fmt: skip
    extended = record(number(3), 4, kind=30)  # 3 << 27, and 4
    assert times(extended, record(data, 1)) == [1000 + (3 << 27) + 5]
    stamp = record(number(6), 2, kind=31)
    assert times(stamp, record(data, 1)) == [(6 << 27) + 3]
    assert times(stamp, begin=1 << 63) == []
    high = times(stamp, record(data, 1), begin=1 << 63)
    assert high == [(1 << 63) + (6 << 27) + 3]


def test_padding_is_passed_over():
    data = number(1)
    gone = record(number(8) + b"gone", 3, kind=29)  # an event that was taken back
    assert times(gone, record(data, 2)) == [1005]
    rest = record(b"", 0, kind=29)
    assert times(record(data, 1), rest, record(data, 9)) == [1001]


def test_a_long_record_tells_its_length():
    long = record(number(4 + 200) + bytes(200), 1, kind=0)
    found = list(trace_buffer.records(page(long, record(number(7), 1))))
    assert [len(one.data) for one in found] == [200, 4]


def test_lost_records_before_a_page_do_not_shift_it():
    assert times(record(number(1), 4), flags=1 << 31) == [1004]
    assert times() == []


def test_a_switch_tells_of_two_workers_and_leaves_out_strangers():
    form = trace_buffer.parse_format(FORMAT)
    pages = {
        1: [page(record(switch(10, 1, 11), 8))],
        0: [page(record(switch(77, 0, 10), 2), record(switch(10, 256, 78), 8))],
    }
    found = trace_buffer.events(pages, {372: form}, {10: 0, 11: 1})
    assert [tuple(event[:6]) for event in found] == [
        (1002, 10, 0, 0, "switch_in", 0),
        (1008, 10, 0, 1, "switch_out", 1),
        (1008, 11, 1, 1, "switch_in", 0),
        (1010, 10, 0, 0, "switch_out", 0),  # 256: its CPU was taken
    ]


# -- where tracing is impossible ------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (sys, "platform", "darwin", "needs Linux and this is darwin: use a recorded"),
        (os, "geteuid", lambda: 1000, "needs root: start Python with sudo"),
        (os, "readlink", lambda path: "pid:[7]", "docker run --pid=host --privileged"),
    ],
)
def test_the_reason_is_told_with_its_remedy(monkeypatch, module, name, value, reason):
    if sys.platform != "linux":
        pytest.skip("the later reasons are those of Linux")
    if name == "readlink":
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, name, value)
    told = available()
    assert reason in told
    trace = Trace([1])
    with pytest.raises(OSError, match=reason), trace:
        pass
    with pytest.raises(RuntimeError, match="after the trace's with block"):
        trace.events()


@pytest.mark.parametrize("tids", [[], [5, 5], ["5"], [0], [True]])
def test_threads_that_are_none_are_refused(tids):
    with pytest.raises(ValueError, match="tid"):
        Trace(tids)


@pytest.mark.parametrize("size", [0, 1 << 30, "1"])
def test_room_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="buffer_kb"):
        Trace([1], buffer_kb=size)


# -- live, with root ------------------------------------------------------------------


class Waiters:
    """Threads that wait in an epoll of their own for one listener."""

    def __init__(self, count, flags=select.EPOLLIN):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.stop = os.eventfd(0)
        self.clients, self.tids = [], [0] * count
        self.threads = [
            threading.Thread(target=self.wait, args=(number, flags))
            for number in range(count)
        ]

    def wait(self, number, flags):
        self.tids[number] = threading.get_native_id()
        with select.epoll() as own:
            own.register(self.listener, flags)
            own.register(self.stop, select.EPOLLIN)
            while self.stop not in dict(own.poll()):
                try:
                    self.clients.append(self.listener.accept()[0])
                except BlockingIOError:
                    pass

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: all(self.tids))
        assert threads.settle(self.tids, 30)
        return self

    def __exit__(self, *_):
        os.eventfd_write(self.stop, 1)
        for thread in self.threads:
            thread.join()
        for open_one in (self.listener, *self.clients):
            open_one.close()
        os.close(self.stop)

    def connect(self):
        """Open a connection, and wait until all sleep again."""
        self.clients.append(socket.create_connection(self.listener.getsockname()))
        assert threads.settle(self.tids, 30)

    def sleeps(self):
        return [threads.usage_of(tid).wakeups for tid in self.tids]


@pytest.fixture
def waiters():
    with Waiters(2) as started:
        yield started


def instances(pid):
    """The instances of tracing that a process of netlab has made."""
    with tracefs.root() as folder:
        return [path.name for path in (folder / "instances").glob(f"netlab-{pid}-*")]


def remains():
    """What a trace could leave: instances, mounts, and what any test could."""
    mounted = "netlab-tracefs" in Path("/proc/self/mounts").read_text()
    return instances(os.getpid()), mounted, left_behind()


@traced
@compiled
def test_one_connection_wakes_all_workers_and_each_is_accounted_for():
    with netlab.Server(workers=4, engine="compiled", strategy="level") as server:
        for _ in range(5):
            assert server.settle(30)
            before = server.snapshot()["wakeups"]
            with Trace(server.tids) as trace:
                client = socket.create_connection(server.address[:2])
                assert server.settle(30)
            woken = server.snapshot()["wakeups"] - before
            client.close()
            table = summary(trace.events())
            assert table["woken"].tolist() == woken.tolist()
            assert (table["woken"] >= 1).all()
            assert (table["ran"] >= table["woken"]).all()
            assert table["accepted"].sum() == 1
            said = table[["accepted", "would_block", "slept_again"]].sum(axis="columns")
            assert (said >= 1).all()
            assert table["returned"].sum() == table["accepted"].sum() + (
                table["would_block"].sum()
            )


@traced
def test_an_exclusive_wait_wakes_one():
    with Waiters(2, select.EPOLLIN | select.EPOLLEXCLUSIVE) as waiters:
        for _ in range(3):
            with Trace(waiters.tids) as trace:
                waiters.connect()
            table = summary(trace.events())
            assert sorted(table["woken"] > 0) == [False, True]
            assert table["accepted"].sum() == 1
            assert table["slept_again"].sum() == 0
            alone = spans(trace.events()).groupby("worker").size().min()
            assert alone == 1  # asleep from begin to end


@traced
def test_every_sleep_of_interpreted_threads_is_in_the_trace(waiters):
    for _ in range(3):
        before = waiters.sleeps()
        with Trace(waiters.tids) as trace:
            waiters.connect()
        slept = [now - then for now, then in zip(waiters.sleeps(), before, strict=True)]
        assert summary(trace.events())["woken"].tolist() == slept


@traced
def test_times_are_those_of_the_monotonic_clock(waiters):
    with Trace(waiters.tids) as trace:
        before_ns = time.monotonic_ns()
        waiters.connect()
        after_ns = time.monotonic_ns()
    events = trace.events()
    happened = events[~events["event"].isin([BEGIN, END])]
    assert happened["time_ns"].between(before_ns, after_ns).all()
    assert events["time_ns"].is_monotonic_increasing
    assert (events["time_ns"] % 1000 != 0).any()  # nanoseconds
    assert len(trace) == len(events)
    assert repr(trace) == f"<netlab.Trace of 2 threads: {len(events)} events>"


@traced
def test_a_waking_tells_who_did_it(waiters):
    with Trace(waiters.tids) as trace:
        os.eventfd_write(waiters.stop, 1)
        threads.await_end(waiters.tids, 30)
    events = trace.events()
    first = events[events["event"] == "waking"].groupby("worker").first()
    assert first["by_tid"].tolist() == [threading.get_native_id()] * 2


IN_SELECT = """
import select
print("ready", flush=True)
print(select.select([0], [], [])[0], flush=True)
"""


@traced
def test_threads_of_another_process_are_traced(start_fresh):
    with start_fresh(IN_SELECT) as process:
        assert process.stdout.readline() == "ready\n"
        assert threads.settle([process.pid], 30)
        with Trace([process.pid]) as trace:
            process.stdin.write("x")
            process.stdin.flush()
            assert process.stdout.readline() == "[0]\n"
        process.communicate()
    events = trace.events()
    assert events[events["event"] == "wait_exit"]["value"].tolist() == [1]
    assert summary(events)["woken"].sum() >= 1


@traced
def test_many_threads_are_traced_at_once():
    with Waiters(80) as waiters, Trace(waiters.tids) as trace:
        waiters.connect()
    table = summary(trace.events())
    assert table["worker"].tolist() == list(range(80))
    assert table["tid"].tolist() == waiters.tids
    assert (table["woken"] >= 1).all()
    assert table["accepted"].sum() == 1


@traced
def test_what_did_not_fit_is_counted_and_told():
    small = Trace([threading.get_native_id()], buffer_kb=8)
    with small as trace, select.epoll() as own:
        for _ in range(5000):
            own.poll(0)
    assert trace.lost > 0
    assert f"{trace.lost} lost" in repr(trace)
    with pytest.raises(RuntimeError, match=r"lost \d+ events: trace for a shorter"):
        trace.events()
    kept = trace.events(allow_lost=True)
    assert (kept["event"] == "wait_exit").sum() < 5000


@traced
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_nothing_is_left_behind_whatever_happens(waiters, error):
    before = remains()
    try:
        with Trace(waiters.tids) as trace:
            assert len(instances(os.getpid())) == 1
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        assert error
    assert remains() == before
    assert len(trace.events()) >= 4
    with pytest.raises(RuntimeError, match="begun before"), trace:
        pass


@traced
def test_an_end_in_the_beginning_leaves_nothing(waiters, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = remains()
    for name in ("_prepare", "_begin", "_finish"):
        with monkeypatch.context() as patched:
            patched.setattr(Trace, name, interrupted)
            with pytest.raises(KeyboardInterrupt), Trace(waiters.tids):
                pass
    assert remains() == before


@traced
def test_a_thread_that_is_gone_is_named():
    with Waiters(1) as waiters:
        pass
    threads.await_end(waiters.tids, 30)
    before = remains()
    with pytest.raises(LookupError, match=f"thread {waiters.tids[0]} has ended"):
        Trace(waiters.tids).__enter__()
    assert remains() == before


KILLED = """
import os, sys, time
from netlab.watch.trace import Trace
with Trace([os.getpid()]):
    print("traces", flush=True)
    time.sleep(60)
"""


@traced
def test_the_next_trace_removes_what_a_killed_one_left(waiters):
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "traces\n"
        process.send_signal(signal.SIGKILL)
    assert len(instances(process.pid)) == 1
    with Trace(waiters.tids):
        assert instances(process.pid) == []
