"""Equilibrium."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("10", "makes one worker five times slower", "setting"),
    Stated("10", "takes it five times as long", "setting"),
    Stated("10", "stands for 50 ms", "setting"),
    Stated("10", "dots are joined that lie 50 ms apart", "setting"),
    Stated("10", "needs five times as long is away five times as long", "setting"),
    Stated("10", "one after the other, 8 ms of work in all", "setting"),
]
