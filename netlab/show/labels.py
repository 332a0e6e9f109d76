"""Labels beside what they name, without a legend, and without overlaps.

Text is measured on the card, so set the axes' limits before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from netlab.show.figures import figure_of
from netlab.show.palette import HALO, MUTED, SMALL_PT

LINE_PT = 12.5  # from one line of small text to the next
MARK_PT = 9  # a mark's size, with some air
AIR_PT = 4  # between a label and what it does not name
RINGS_PT = tuple(range(2, 240, 5))  # how far from its point a label may lie
NEAR_PT = 8  # so near to its point a label needs no line to it
SIDES = (
    (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1),
    (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1),
)  # fmt: skip

Stroke = tuple[tuple[float, float], tuple[float, float]]


class Named(NamedTuple):
    """A point or a line's end, in the axes' data, and its label."""

    x: float
    y: float
    text: str
    kind: str = ""


class Group(NamedTuple):
    """Points too near to each other to be told apart, in pixels, and their names."""

    marks: Bbox
    text: str


class Taken(NamedTuple):
    """What is in the way of labels, in pixels."""

    boxes: list[Bbox]
    lines: list[Path]

    def leave_free(self, box: Bbox) -> bool:
        """Return whether a label there would cover no other label or mark."""
        return not box.count_overlaps(self.boxes)

    def leave_clear(self, box: Bbox, line: Path | None) -> bool:
        """Return whether it would cover no line either, nor the line to it a label."""
        if any(taken.intersects_bbox(box, filled=False) for taken in self.lines):
            return False
        return line is None or not any(
            line.intersects_bbox(taken, filled=False) for taken in self.boxes
        )


def spread(places: Sequence[float], least: float) -> list[float]:
    """Return the places moved apart by as little as makes all steps `least` or more.

    Their order is kept. Neighbours that collide become a block around their mean.
    """
    order = np.argsort(places, kind="stable")
    steps = least * np.arange(len(places))
    blocks: list[tuple[float, int]] = []
    for place in np.asarray(places, float)[order] - steps:
        block = (float(place), 1)
        while blocks and blocks[-1][0] > block[0]:
            (mean, count), (own, members) = blocks.pop(), block
            both = count + members
            block = ((mean * count + own * members) / both, both)
        blocks.append(block)
    apart = np.empty(len(places))
    apart[order] = [mean for mean, count in blocks for _ in range(count)] + steps
    return apart.tolist()


def name_ends(axes: Axes, ends: Sequence[Named], colors: Sequence[str]) -> None:
    """Write each line's name at the right of the axes, with a stroke to its end."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [float(to_axes.transform((end.x, end.y))[1]) for end in ends]
    names = [
        axes.annotate(
            end.text, (end.x, end.y), (1.05, height), textcoords="axes fraction",
            va="center", fontsize=SMALL_PT, annotation_clip=False,
            arrowprops={**_line(color), "shrinkB": 3, "relpos": (0, 0.5)},
        )
        for end, height, color in zip(ends, heights, colors, strict=True)
    ]  # fmt: skip
    settle(axes)
    high_pt = axes.bbox.height / _pixels(axes)
    step_pt = LINE_PT * max((1 + end.text.count("\n") for end in ends), default=1)
    for name, height in zip(names, spread(heights, step_pt / high_pt), strict=True):
        name.set_position((1.05, height))


def name_points(
    axes: Axes,
    points: Sequence[Named],
    strokes: Iterable[Stroke] = (),
    nameless: Iterable[Named] = (),
) -> list[Annotation]:
    """Write each point's name at the nearest free place around it, and return them.

    Points of one kind that nearly touch get one label, a name a line, the highest
    first. A label that lies farther away gets a thin line to its point. In the way
    are texts that are on the axes already, strokes (lines by their ends in the data),
    and nameless marks.
    """
    settle(axes)
    groups = _groups(axes, points)
    taken = Taken(
        [group.marks for group in groups]
        + [Bbox(text.get_window_extent()) for text in axes.texts]
        + [_mark(axes, mark) for mark in nameless],
        [Path(axes.transData.transform(stroke)) for stroke in strokes],
    )
    return [_name(axes, group, taken) for group in groups]


def _groups(axes: Axes, points: Sequence[Named]) -> list[Group]:
    """Return the points, those of one kind that nearly touch in one group."""
    groups: list[list[Named]] = []
    for point in sorted(points, key=lambda point: (-point.y, point.x)):
        near = [group for group in groups if _touch(axes, group, point)]
        groups = [group for group in groups if group not in near]
        groups.append([*(named for group in near for named in group), point])
    return [
        Group(
            Bbox.union([_mark(axes, named) for named in group]),
            "\n".join(named.text for named in group),
        )
        for group in groups
    ]


def _touch(axes: Axes, group: list[Named], point: Named) -> bool:
    wide = _mark(axes, point).padded(AIR_PT * _pixels(axes))
    return group[0].kind == point.kind and any(
        wide.overlaps(_mark(axes, named)) for named in group
    )


def settle(axes: Axes) -> None:
    """Let the layout find the axes' place now, in which text is measured."""
    figure_of(axes).draw_without_rendering()


def _name(axes: Axes, group: Group, taken: Taken) -> Annotation:
    """Write the label at the nearest free place; add what it takes to `taken`."""
    offset, box, line = _place(axes, group, taken)
    taken.boxes.append(box)
    how: dict[str, Any] = {}
    if line is not None:
        taken.lines.append(line)
        how["arrowprops"] = {**_line(MUTED), "shrinkB": MARK_PT / 2}
    x, y = axes.transData.inverted().transform(_middle(group.marks))
    name = axes.annotate(
        group.text, (x, y), offset,
        textcoords="offset points", fontsize=SMALL_PT, path_effects=HALO, zorder=5,
        va="center", ha="center", multialignment="left", **how,
    )  # fmt: skip
    name.set_in_layout(False)
    return name


def _place(
    axes: Axes, group: Group, taken: Taken
) -> tuple[tuple[float, float], Bbox, Path | None]:
    """Return the label's offset in points, its box, and the line to it if far."""
    pixels, own = _pixels(axes), group.marks
    others = Taken([box for box in taken.boxes if box is not own], taken.lines)
    places, size = [], _size(axes, group.text)
    for far, offset in _offsets((size + np.array(own.size)) / pixels):
        middle = _middle(own) + np.array(offset) * pixels
        box = Bbox([middle - size / 2, middle + size / 2])
        line = Path([middle, _middle(own)]) if far > NEAR_PT else None
        if _inside(axes, box) and others.leave_free(box.padded(AIR_PT * pixels)):
            places.append((offset, box, line))
            if others.leave_clear(box, line):
                return places[-1]
    return places[0] if places else ((0.0, 0.0), own, None)


def _size(axes: Axes, text: str) -> np.ndarray:
    probe = axes.text(0, 0, text, fontsize=SMALL_PT)
    size = np.array(Bbox(probe.get_window_extent()).size)
    probe.remove()
    return size


def _offsets(both_pt: np.ndarray) -> Iterator[tuple[float, tuple[float, float]]]:
    """Yield how far, and where, a label's middle may be: the nearest places first.

    both_pt: the sizes of the label and of the marks together.
    """
    width, height = both_pt / 2
    for far, (across, up) in product(RINGS_PT, SIDES):
        aslant = 0.7 if across and up else 1
        yield far, (across * (far * aslant + width), up * (far * aslant + height))


def _mark(axes: Axes, point: Named) -> Bbox:
    x, y = axes.transData.transform((point.x, point.y))
    half = MARK_PT * _pixels(axes) / 2
    return Bbox.from_extents(x - half, y - half, x + half, y + half)


def _inside(axes: Axes, box: Bbox) -> bool:
    return all(axes.bbox.contains(x, y) for x, y in (box.min, box.max))


def _middle(box: Bbox) -> np.ndarray:
    return np.mean([box.min, box.max], axis=0)


def _pixels(axes: Axes) -> float:
    return figure_of(axes).dpi / 72  # a point


def _line(color: str) -> dict[str, Any]:
    return {"arrowstyle": "-", "color": color, "linewidth": 0.8, "shrinkA": 1}
