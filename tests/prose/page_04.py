"""Asleep and awake."""

from tests.prose.rows import Bound, Stated

BOUND: list[Bound] = []  # all that is measured is told by cells

STATED = [
    Stated("04", "of one second, how many milliseconds", "setting"),
    Stated("04", "a client asks three times, and each answer takes 12 ms of work",
           "setting"),
    Stated("04", "and 12 ms later it falls asleep", "setting"),
    Stated("04", "is done when 12 ms have passed on the", "setting"),
    Stated("04", "a client that is connected asks 20 times", "setting"),
    Stated("04", "it connects, asks 20 times (50 requests a second, for 0.4 seconds)",
           "setting"),
    Stated("04", "Two counters and two times tell them apart", "meaning"),
]  # fmt: skip
