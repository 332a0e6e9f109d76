"""A socket that waits."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("01", "each asks for 60 ms of work and leaves", "setting"),
    Stated("01", "*stays* for 60 ms without a word", "setting"),
]
