"""Each number that the prose states, and what it is bound to.

A page that states a measured number has a row here, with the words around it. They are
filled in from the recordings, or from numbers that others published, and must stand in
the page just so: who records a study anew, and finds something else, is told by
test_prose.py which words to write. What a cell computes needs no row.

A number that looks measured and is not, such as a setting or a threshold, has a row
too, with its kind. No other number may look measured.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from netlab.study import recordings

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KINDS = {
    "setting": "what a run was told to do",
    "threshold": "said before the run, of a claim or an allowance",
    "chance": "computed, not measured: odds, or ideals",
    "meaning": "explains what a number stands for, and claims no value",
    "version": "of a program",
}


class Bound(NamedTuple):
    """Words of a page, and the function that fills them in from the data."""

    page: str
    words: str
    figures: Callable[[], Any]

    def filled(self) -> str:
        """Return the words as they must stand in the page."""
        figures = self.figures()
        return self.words.format(*figures if isinstance(figures, tuple) else (figures,))


class Stated(NamedTuple):
    """Words of a page with a number that only looks measured, and its kind."""

    page: str
    words: str
    kind: str


def table(study, name):
    """Return one table of a recording."""
    return recordings.load(study).tables[name]


def word(number):
    """Return a number as a page writes it: a small whole one as a word."""
    small = number == int(number) and number < len(WORDS)
    return WORDS[int(number)] if small else f"{number:g}"


# --- 06, the thundering herd


def herd(strategy="level", engine="compiled"):
    """Return the medians of all repeats, a row for each number of workers."""
    rows = table("herd", "herd").query("strategy == @strategy and engine == @engine")
    return rows.groupby("workers").median(numeric_only=True)


def under_load():
    """Return the medians of `level` under load, a row for each rate."""
    rows = table("herd", "load").query("strategy == 'level'")
    return rows.groupby("rate_per_s").median(numeric_only=True)


def woken_and_returned():
    """Return how many of four workers were woken, and how many mostly returned."""
    traces = table("xray", "traces").query("strategy == 'level'")
    often = traces["returned"].value_counts(normalize=True)
    mostly = sorted(often[often > 0.1].index)
    return word(traces["woken"].median()), " or ".join(map(word, mostly))


def verdicts():
    """Return what becomes of the page's first two claims, with 16 workers."""
    rows = table("herd", "herd").query("strategy == 'level' and workers == 16")
    rows = rows[rows["engine"] == "compiled"]
    all_wake = rows["wakeups_per_accept"].between(15.2, 16.8).all()
    shown = (rows["would_block_per_accept"] >= 7.5).all()
    return tuple("confirmed" if one else "contradicted" for one in (all_wake, shown))


def dearer(workers):
    """Return how many times the CPU time of `exclusive` the herd costs."""
    column = "cpu_us_per_accept"
    return herd().loc[workers, column] / herd("exclusive").loc[workers, column]


def sleeper_us():
    """Return the CPU time of each worker woken in vain, from the largest herd."""
    more_us = herd()["cpu_us_per_accept"] - herd("exclusive")["cpu_us_per_accept"]
    return more_us.iloc[-1] / (more_us.index[-1] - 1)


def exclusive_wakeups():
    """Return the wake-ups per accept of an exclusive waiter, whatever N is."""
    found = herd("exclusive")["wakeups_per_accept"].round(1).unique()
    return " or ".join(map(word, found))


def shrunk():
    """Return the wake-ups at the lowest rate, and at the highest."""
    wakeups = under_load()["wakeups_per_accept"]
    return wakeups.iloc[0], wakeups.iloc[-1]


HERD = [
    Bound("06", "Each of the {} was woken by every connection. How many of them return "
          "is a matter of chance, and mostly it is {}.", woken_and_returned),
    Bound("06", "in the recording, at most {:.1f} turns per accept with up to {} "
          "workers", lambda: (herd()["turns_per_accept"].max(), herd().index.max())),
    Bound("06", "The first claim should be {} on your machine, the second {}.",
          verdicts),
    Bound("06", "takes a few microseconds (about {:.0f} µs in the recording)",
          sleeper_us),
    Bound("06", "in the recording it costs {:.0f} times the CPU time of `exclusive` "
          "there, and {:.0f} times with 64", lambda: (dearer(16), dearer(64))),
    Bound("06", "it stays at {} wake-up per accept for every N", exclusive_wakeups),
    Bound("06", "({:.0f} per accept for 16 workers in the recording)",
          lambda: herd(engine="python").loc[16, "wakeups_per_accept"]),
    Bound("06", "the recording goes from {:.1f} wake-ups at the lowest rate to {:.1f} "
          "at the highest", shrunk),
    Bound("06", "has more rates, and {} runs of each",
          lambda: word(table("herd", "load")["repeat"].nunique())),
]  # fmt: skip


# --- 07, who gets the connection


def class_of(strategy):
    """Return what the recorded runs of a strategy look like, a row for each."""
    classes = table("order", "classes").query("strategy == @strategy")
    return classes.sort_values("registered").reset_index()


def looks(strategy):
    """Return what all its orders look like, in the study's words."""
    return " or ".join(sorted(class_of(strategy)["seen"].unique()))


def kept(strategy):
    """Return how often its rule was kept, in percent: in the worst run, the best."""
    percent = class_of(strategy)["kept_percent"]
    return percent.min(), percent.max()


def shares(strategy):
    """Return the connections of each worker, registered 0, 1, 2, 3."""
    counts = class_of(strategy).loc[0, "shares"].split("/")
    return f"{', '.join(counts[:-1])} and {counts[-1]}"


ORDER = [
    Bound("07", "A staircase: this is **{}**", lambda: looks("blocking")),
    Bound("07", "in the recording it was kept in {:.0f} to {:.0f} % of the accepts",
          lambda: kept("one-epoll-level")),
    Bound("07", "the *first registered* won: in the recording it did so in {:.0f} % of "
          "the accepts, in either order", lambda: kept("exclusive")[0]),
    Bound("07", "In the recording the race gave the four workers {} connections",
          lambda: shares("level")),
    Bound("07", "such as the {} of the recording", lambda: shares("reuseport")),
]  # fmt: skip


# --- numbers of others, in data/published/README.md


def of_others(name, column):
    """Return a column of published numbers."""
    return recordings.published(name)[column]


def as_list(numbers):
    """Return whole numbers as a text, with commas."""
    return ", ".join(f"{one:,}" for one in numbers)


OF_OTHERS = [
    Bound("published", "as unequal numbers of connections as {:.0f} to {:.0f}",
          lambda: tuple(of_others("herbert-2013", "most_to_least"))),
    Bound("published", "a benchmark took {:.0f} s without it and {:.0f} s with it",
          lambda: tuple(of_others("baron-2015", "duration_s"))),
    Bound("published", "cost {} % fewer cycles",
          lambda: of_others("xu-2022", "fewer_cycles_percent").item()),
    Bound("published", "that share one accept queue: {}.",
          lambda: as_list(of_others("metr-hawk", "connections"))),
    Bound("published", "serves {:.0f} % of all requests",
          lambda: of_others("uvicorn-worker-2025", "share_percent").item()),
    Bound("published", "More than {:.0f} % of all connections",
          lambda: of_others("node-cluster", "share_percent").item()),
]  # fmt: skip

BOUND = [*HERD, *ORDER, *OF_OTHERS]
STATED = [
    Stated("00", "because it listens on 127.0.0.1 only", "setting"),
    Stated("00", "Now ask five times", "setting"),
    Stated("00", "uses 5 % of it now", "meaning"),
    Stated("00", "busy for about two milliseconds", "setting"),
    Stated("00", "nobody asks anything for three seconds", "setting"),
    Stated("00", "half of the requests, and 99 in a hundred", "meaning"),
    Stated("06", "with each number of workers three times", "setting"),
    Stated("06", "at least one and a half times the CPU time", "threshold"),
    Stated("06", "The bit came to Linux with version 4.5.", "version"),
    Stated("06", "the client asks for 400 µs of work", "setting"),
    Stated("06", '"4,000 a second" is what was asked for', "setting"),
    Stated("07", "(commit 96c342e56, in version 1.21.6)", "version"),
    Stated("07", "the five in a hundred that this page forgives", "threshold"),
    Stated("12", "the worker with the most has 25 %", "chance"),
    Stated("12", "one of two workers needs five times as long", "setting"),
    Stated("12", "Ideal: 1 in 6 to the slow one, 16.7 %", "chance"),
    Stated("12", "more than 60 % on one worker is hardly chance", "threshold"),
    Stated("12", "25 % is still nearer to its ideal than to a half", "threshold"),
    Stated("12", "and 40 to 60 % is a half", "threshold"),
    Stated("12", "of 32 clients that ask for 100 µs of work each", "setting"),
    Stated("12", "busy with a slow answer, for 2.5 ms", "setting"),
    Stated("08", "(How many come in one second is then", "setting"),
    Stated("08", "keeps it busy for **50 ms**", "setting"),
    Stated("08", "each step to the right is ten times as rare", "meaning"),
    Stated("08", "0.4 % of them are slow", "chance"),
    Stated("08", "A p99 looks at the worst 1 %.", "meaning"),
    Stated("08", "In 50 ms, 4,000 a second make", "setting"),
    Stated("08", "the first by 50 ms", "setting"),
    Stated("08", "A stall in 1,000 requests: 20 % are slow.", "chance"),
    Stated("08", "the arithmetic says 99.6 for the closed loop", "chance"),
    Stated("08", "a request costs the worker 400 µs of CPU time", "setting"),
    Stated("08", "at most 2,500 a second, its **capacity**", "chance"),
    Stated("08", "more frequent than 1 % of the requests", "meaning"),
    Stated("published", "(EPOLLEXCLUSIVE since 1.11.3)", "version"),
    Stated("published", "CPython 3.14 without the GIL", "version"),
]
