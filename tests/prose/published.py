"""Numbers of others, in data/published/README.md."""

from netlab.study import recordings
from tests.prose.rows import Bound, Stated


def of_others(name, column):
    """Return a column of published numbers."""
    return recordings.published(name)[column]


def as_list(numbers):
    """Return whole numbers as a text, with commas."""
    return ", ".join(f"{one:,}" for one in numbers)


BOUND = [
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

STATED = [
    Stated("published", "(EPOLLEXCLUSIVE since 1.11.3)", "version"),
    Stated("published", "CPython 3.14 without the GIL", "version"),
]
