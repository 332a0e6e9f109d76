"""No strategy wins."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("12", "the worker with the most has 25 %", "chance"),
    Stated("12", "one of two workers needs five times as long", "setting"),
    Stated("12", "Ideal: 1 in 6 to the slow one, 16.7 %", "chance"),
    Stated("12", "more than 60 % on one worker is hardly chance", "threshold"),
    Stated("12", "25 % is still nearer to its ideal than to a half", "threshold"),
    Stated("12", "and 40 to 60 % is a half", "threshold"),
    Stated("12", "of 32 clients that ask for 100 µs of work each", "setting"),
    Stated("12", "busy with a slow answer, for 2.5 ms", "setting"),
]
