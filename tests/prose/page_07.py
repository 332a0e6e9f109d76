"""Who gets the connection."""

from tests.prose.rows import Bound, Stated, table


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


BOUND = [
    Bound("07", "A staircase: this is **{}**", lambda: looks("blocking")),
    Bound("07", "in the recording it was kept in {:.0f} to {:.0f} % of the accepts",
          lambda: kept("one-epoll-level")),
    Bound("07", "the *first registered* won: in the recording it did so in {:.0f} % of "
          "the accepts, in either order", lambda: kept("exclusive")[0]),
    Bound("07", "In the recording the race gave the four workers {} connections",
          lambda: shares("level")),
    Bound("07", "such as the {} of the recording", lambda: shares("reuseport")),
]  # fmt: skip

STATED = [
    Stated("07", "(commit 96c342e56, in version 1.21.6)", "version"),
    Stated("07", "the five in a hundred that this page forgives", "threshold"),
]
