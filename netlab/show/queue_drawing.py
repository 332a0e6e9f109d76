"""Small drawings of a listener's wait queue: what becomes of a waiter that is woken.

Each is drawn in inches, on axes of its own. The head of the queue is at the right,
where the next connection comes in; dark is who is woken by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from netlab.show.palette import FAINT, INK, MUTED, SMALL_PT, text_on, worker_style

WIDE_IN, HIGH_IN = 1.66, 0.66
BOX, STEP = 0.2, 0.26  # a waiter's size, and from one to the next
LEFT, FOOT = 0.3, 0.2  # of the boxes
SHOWN = 4  # waiters; of more, the others are dots
HEAD = SHOWN - 1  # its place, from the left
TOP = FOOT + BOX
GATE = (LEFT + HEAD * STEP + BOX + 0.3, FOOT + BOX / 2)  # where connections come in
ABOVE = (LEFT + 1.5 * STEP + BOX / 2, HIGH_IN - 0.07)  # and where nobody is the first


def draw_queue(axes: Axes, rule: str, registered: Sequence[int]) -> None:
    """Draw the wait queue of that rule, or the sockets of a hash.

    Only a queue in which waiters stay shows their numbers, as they registered; the
    order in others is another after each connection.
    """
    axes.set_xlim(0, WIDE_IN)
    axes.set_ylim(0, HIGH_IN)
    axes.set_aspect("equal", anchor="W")
    axes.axis("off")
    DRAWINGS[rule](axes, registered)


def _to_the_tail(axes: Axes, registered: Sequence[int]) -> None:
    tail = _queue(axes, registered)[0]
    _box(axes, tail - 1, facecolor="none", linestyle=(0, (1.5, 1.5)))
    _arrow(axes, _top(HEAD), _top(tail - 1), "arc3,rad=0.32")


def _stays(axes: Axes, registered: Sequence[int]) -> None:
    places = _queue(axes, registered)
    named = [*registered[: len(places) - 1], registered[-1]]
    for place, worker in zip(reversed(places), named, strict=True):
        color = worker_style(worker).color if place == HEAD else FAINT
        _box(axes, place, facecolor=color)
        axes.text(
            _top(place)[0], FOOT + BOX / 2, str(worker), color=text_on(color),
            ha="center", va="center_baseline", fontsize=SMALL_PT,
        )  # fmt: skip
        axes.plot(*_top(place), "v", color=INK, markersize=4, clip_on=False)  # a pin


def _to_the_head(axes: Axes, registered: Sequence[int]) -> None:
    _queue(axes, registered)
    x, y = _top(HEAD)
    _arrow(axes, (x + 0.08, y), (x - 0.08, y), "arc3,rad=2.3")


def _all_wake(axes: Axes, registered: Sequence[int]) -> None:
    places = _places(axes, registered)
    _connection(axes, ABOVE)
    for place in places:
        _box(axes, place, facecolor=INK)
        _arrow(axes, ABOVE, _top(place), "arc3,rad=0", shrinkA=4)


def _hash(axes: Axes, registered: Sequence[int]) -> None:
    x, y = ABOVE
    places = _places(axes, registered)
    chosen = places[-2:][0]
    _connection(axes, (x + 0.62, y))
    _arrow(axes, (x + 0.62, y), (x + 0.09, y), "arc3,rad=0", shrinkA=4)
    for place in places:
        _box(axes, place, facecolor=INK if place == chosen else FAINT)
        how: dict[str, Any] = {} if place == chosen else {"arrowstyle": "-", "ls": ":"}
        _arrow(axes, ABOVE, _top(place), "arc3,rad=0", shrinkA=7, **how)
    axes.add_patch(
        Circle(
            ABOVE, 0.08, facecolor=FAINT, edgecolor=INK, linewidth=0.8, clip_on=False
        )
    )
    axes.text(x, y, "#", ha="center", va="center_baseline", fontsize=SMALL_PT)


DRAWINGS: dict[str, Callable[[Axes, Sequence[int]], None]] = {
    "to the tail": _to_the_tail,
    "stays": _stays,
    "to the head": _to_the_head,
    "all wake": _all_wake,
    "hash": _hash,
}


def _queue(axes: Axes, registered: Sequence[int]) -> list[int]:
    """Draw waiters of which a connection wakes the head only; return their places."""
    places = _places(axes, registered)
    for place in places:
        _box(axes, place, facecolor=INK if place == HEAD else FAINT)
    _connection(axes, GATE)
    right = (LEFT + HEAD * STEP + BOX, GATE[1])
    _arrow(axes, GATE, right, "arc3,rad=0", shrinkA=4)
    ends = (places[0], BOX, "tail", "right"), (HEAD, 0, "head", "left")
    for place, beyond, name, align in ends[-len(places) :]:
        axes.text(
            LEFT + place * STEP + beyond, 0.13, name, color=MUTED, ha=align, va="top",
            fontsize=SMALL_PT,
        )  # fmt: skip
    return places


def _places(axes: Axes, registered: Sequence[int]) -> list[int]:
    """Return the places of those who are shown, the head last; dots for the others."""
    if len(registered) <= SHOWN:
        return list(range(SHOWN - len(registered), SHOWN))
    axes.text(_top(1)[0], FOOT + BOX / 2, "···", ha="center", va="center_baseline")
    return [place for place in range(SHOWN) if place != 1]


def _box(axes: Axes, place: int, **how: Any) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (LEFT + place * STEP, FOOT), BOX, BOX, edgecolor=INK, linewidth=0.8,
            boxstyle="round,pad=0,rounding_size=0.03", clip_on=False, **how,
        )
    )  # fmt: skip


def _top(place: int) -> tuple[float, float]:
    return LEFT + place * STEP + BOX / 2, TOP + 0.02


def _connection(axes: Axes, at: tuple[float, float]) -> None:
    axes.plot(*at, "o", color=INK, markersize=5, clip_on=False)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bent: str,
    **how: Any,
) -> None:  # fmt: skip
    style = {"arrowstyle": "-|>,head_length=3.2,head_width=1.6", "shrinkA": 0, **how}
    axes.add_patch(
        FancyArrowPatch(
            start, end, connectionstyle=bent, color=INK, linewidth=0.9, shrinkB=0,
            clip_on=False, **style,
        )
    )  # fmt: skip
