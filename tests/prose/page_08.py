"""Firing load."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("08", "(How many come in one second is then", "setting"),
    Stated("08", "keeps it busy for **50 ms**", "setting"),
    Stated("08", "each step to the right is ten times as rare", "meaning"),
    Stated("08", "0.4 % of them are slow", "chance"),
    Stated("08", "A p99 looks at the worst 1 %.", "meaning"),
    Stated("08", "In 50 ms, 4,000 a second make", "setting"),
    Stated("08", "the first by 50 ms", "setting"),
    Stated("08", "A stall in 1,000 requests: 20 % are slow.", "chance"),
    Stated("08", "(slow: more than 1 ms)", "meaning"),
    Stated("08", "the arithmetic says 99.6 for the closed loop", "chance"),
    Stated("08", "a request costs the worker 400 µs of CPU time", "setting"),
    Stated("08", "at most 2,500 a second, its **capacity**", "chance"),
]
