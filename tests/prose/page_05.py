"""One loop per CPU."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("05", "each for five seconds of it", "setting"),
    Stated("05", "under load for six seconds", "setting"),
    Stated("05", "sleeps, at most for five milliseconds, and asks again", "setting"),
    Stated("05", "one works for 20 ms, is done", "setting"),
]
