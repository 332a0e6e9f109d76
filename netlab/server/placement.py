"""Who keeps a new connection: the rule between accept and the first read.

A rule is one plain function, and all there is to write for a placement of one's own:

    place(acceptor, open_now, memory) -> owner

acceptor: the number of the worker that accepted. open_now: int64, shape (workers,),
the connections that each worker has open; of interpreted workers as of their last
turn. memory: int64, shape (MEMORY_WORDS,): what the rule remembers from call to call,
each acceptor for itself; zeros at first, but for memory[SEED], which differs from
acceptor to acceptor and with the server's `place_seed`. The owner is a worker's number,
from 0.

It is called interpreted or compiled, by the engine: no object, no other function, no
random numbers but one's own. The original has the simplest rule: the winner keeps it.

What a rule sees comes from two sides. Each acceptor counts in a row of its own whom it
gave how many (PLACED, shape (workers, workers)), so that two connections accepted at
once are not given to the same idle worker; each owner counts what it closed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MEMORY_WORDS, SEED = 8, 7
# Of a linear congruential generator: Press et al., Numerical Recipes, 1992, 7.1.
FACTOR, ADDEND, RANGE = 1664525, 1013904223, 1 << 32

Place = Callable[[int, np.ndarray, np.ndarray], int]


def keep(acceptor: int, open_now: np.ndarray, memory: np.ndarray) -> int:
    """Let the worker that accepted serve the connection."""
    return acceptor


def round_robin(acceptor: int, open_now: np.ndarray, memory: np.ndarray) -> int:
    """Give to one worker after the other."""
    owner = memory[0] % len(open_now)
    memory[0] += 1
    return owner


def least(acceptor: int, open_now: np.ndarray, memory: np.ndarray) -> int:
    """Give to the worker with the fewest open connections, of equals the first."""
    owner = 0
    for number in range(len(open_now)):
        if open_now[number] < open_now[owner]:
            owner = number
    return owner


def two_choices(acceptor: int, open_now: np.ndarray, memory: np.ndarray) -> int:
    """Draw two workers and give to the one with fewer open connections.

    Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE
    Transactions on Parallel and Distributed Systems 12(10), 2001.
    """
    workers = len(open_now)
    memory[SEED] = (memory[SEED] * FACTOR + ADDEND) % RANGE
    one = memory[SEED] * workers // RANGE
    memory[SEED] = (memory[SEED] * FACTOR + ADDEND) % RANGE
    other = memory[SEED] * (workers - 1) // RANGE
    if other >= one:
        other += 1
    if workers > 1 and open_now[other] < open_now[one]:
        return other
    return one


def seeds(place_seed: int, workers: int) -> np.ndarray:
    """Return the first memory[SEED] of each acceptor, below RANGE, shape (workers,)."""
    return np.random.default_rng(place_seed).integers(0, RANGE, workers)


def open_connections(placed: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Return how many connections each worker has open, shape (workers,).

    placed: shape (workers, workers), by acceptor and owner. closed: shape (workers,).
    """
    return placed.sum(axis=0) - closed
