"""Handing over."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("11", "of which one is five times slower", "setting"),
    Stated(
        "11", "Ideal are 25 % for the top worker, and 16.7 % for the slow one", "chance"
    ),
    Stated(
        "11", "One in a hundred is not light: it keeps its worker for 20 ms", "setting"
    ),
    Stated("11", "answered more than 5 ms late", "threshold"),
]
