"""The interpreter in the way."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("13", "whose requests cost work: 400 µs each", "setting"),
    Stated("13", "1.4 is far above nothing", "threshold"),
    Stated("13", "interleaves all ways, three times", "setting"),
    Stated("13", "sleeps, and after 5 ms", "setting"),
    Stated("13", "one at a time, 5 ms apart", "setting"),
    Stated("13", "The kernel counted two wake-ups for it", "meaning"),
    Stated("13", "costs its owner up to two wake-ups more", "meaning"),
    Stated("13", "Since version 3.13 CPython", "version"),
    Stated("13", "400 µs of pure interpreting", "setting"),
    Stated("13", "the 5 ms are the answer that Python 3.2 gave", "version"),
]
