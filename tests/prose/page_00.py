"""Start here."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("00", "because it listens on 127.0.0.1 only", "setting"),
    Stated("00", "Now ask five times", "setting"),
    Stated("00", "fires a load for six seconds", "setting"),
    Stated("00", "accepted in the last three seconds", "setting"),
    Stated("00", "uses 5 % of it now", "meaning"),
    Stated("00", "busy for 2,000 microseconds, two milliseconds", "setting"),
    Stated("00", "nobody asks anything for three seconds", "setting"),
    Stated("00", "half of the requests, and 99 in a hundred", "meaning"),
]
