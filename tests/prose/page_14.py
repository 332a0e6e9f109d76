"""Clients that misbehave."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("14", "ten times as many requests, ten times as much", "meaning"),
    Stated("14", "The attack lasts two seconds", "setting"),
]
