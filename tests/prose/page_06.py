"""The thundering herd."""

from tests.prose.rows import Bound, Stated, table, word


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


BOUND = [
    Bound("06", "Each of the {} was woken by every connection. How many of them return "
          "is a matter of chance, and mostly it is {}.", woken_and_returned),
    Bound("06", "in the recording, at most {:.1f} turns per accept with up to {} "
          "workers", lambda: (herd()["turns_per_accept"].max(), herd().index.max())),
    Bound("06", "The first claim should be {} on any machine, the second {} where few "
          "CPUs run the workers", verdicts),
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

STATED = [
    Stated("06", "with each number of workers three times", "setting"),
    Stated("06", "at least one and a half times the CPU time", "threshold"),
    Stated("06", "The bit came to Linux with version 4.5.", "version"),
    Stated("06", "the client asks for 400 µs of work", "setting"),
    Stated("06", '"4,000 a second" is what was asked for', "setting"),
]
