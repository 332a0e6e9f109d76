"""Clients that misbehave."""

from tests.prose.rows import Stated

BOUND = []
STATED = [
    Stated("14", "ten times as many requests, ten times as much", "meaning"),
    Stated("14", "The attack lasts two seconds", "setting"),
    Stated(
        "14", "Half a second, and a client that sends one byte ten times", "setting"
    ),
    Stated("14", "clock (ten seconds, unless you set it)", "setting"),
]
