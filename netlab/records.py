"""Rows in shared memory, one writer each: the mechanism under every number.

Facts. A worker that takes a lock to count changes what it counts: the lock's
waiters sleep, and their sleeps look like the herd's. Two threads that write to
one cache line make each other slow even without a lock (128 bytes hold the
line and its neighbour, which the processor fetches with it: rows 8 bytes apart
were 2 to 4 times slower). And a process that is killed cannot send its
results, but what it wrote to shared memory stays. `struct.pack_into` clears its
target before it fills it: a reader in another process saw zeros in 7 of 100
looks at a busy row, and a writer killed in between would leave them.

Decision. Everything that is counted lives in memory that is mapped and shared,
in rows of fixed shape, and every row has exactly one writer. Everybody else
copies. There are two shapes:

`Rows`  a fixed number of rows, one a writer, each overwritten in place and
        128 bytes or a multiple from the next: the counters.
`Log`   a list that only grows, up to its capacity: the accept log, the load's
        requests. Its first 128 bytes say how many were written and how many
        had no room, the length is published after the record, so a reader
        never sees half a record.

A row is packed aside and copied as a whole; a number of the head is stored as
one word. A compiled writer has no packer: it is given the arrays themselves
(`Rows.array`, `Log.records`, `Log.head`) and keeps the same order of writing.

Memory is mapped anew for each of them, or several lie in one mapping, one behind
the other (`Part`), so that a process needs one descriptor for all.

Cost. A reader may see one field of a row a turn older than the next; sums over
a running server are therefore exact only when its workers sleep. A full log
drops and counts, it never grows.

What may not be put here: what a field means (`counters`, `server`, `load`), or
anything that waits.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Any, NamedTuple

import numpy as np

ROW_BYTES = 128  # a cache line and the neighbour that is fetched with it
WRITTEN, DROPPED = 0, 1  # the head's words: records, and those without room
CODES = {"int64": "q", "int32": "i"}


def padded(dtype: np.dtype) -> np.dtype:
    """Return `dtype`, each item a multiple of ROW_BYTES long."""
    spaces = -(-dtype.itemsize // ROW_BYTES)
    fields = dtype.fields or {}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [field[0] for field in fields.values()],
            "offsets": [field[1] for field in fields.values()],
            "itemsize": spaces * ROW_BYTES,
        }
    )


def packer(dtype: np.dtype) -> struct.Struct:
    """Return the `struct` that writes one item of an aligned `dtype`.

    Raises TypeError for a dtype that `columns` could not have made.
    """
    kinds = {name: field[0].name for name, field in (dtype.fields or {}).items()}
    if not kinds or not set(kinds.values()) <= set(CODES):
        raise TypeError(f"fields {kinds}: a record has int64 and int32 fields only")
    if dtype != columns(**kinds):
        raise TypeError(f"{dtype}: a record is aligned; make its dtype by columns()")
    return struct.Struct("@" + "".join(map(CODES.__getitem__, kinds.values())))


def shared_memory(size: int, descriptor: int = -1) -> mmap.mmap:
    """Map `size` bytes that forked children, or holders of `descriptor`, share."""
    return mmap.mmap(descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)


def passable_memory(size: int) -> int:
    """Return a descriptor of `size` bytes that can be sent to another process."""
    descriptor = os.memfd_create("netlab-records")
    os.ftruncate(descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    return descriptor


class Part(NamedTuple):
    """Where in somebody's mapping some rows or a log have their place, in bytes."""

    memory: mmap.mmap
    offset: int


class Rows:
    """`count` rows of `dtype`, a writer each; `array` is the readers' live view.

    `dtype` comes from `columns`: int64 and int32 fields only, aligned.
    """

    def __init__(self, dtype: np.dtype, count: int, part: Part | None = None) -> None:
        self._packer = packer(dtype)
        stride = padded(dtype)
        self._memory, self._offset = part or (shared_memory(self.size(dtype, count)), 0)
        self.array = np.frombuffer(self._memory, stride, count, self._offset)

    @staticmethod
    def size(dtype: np.dtype, count: int) -> int:
        """Return the bytes that `count` rows of `dtype` take."""
        return padded(dtype).itemsize * count

    def __repr__(self) -> str:
        return f"Rows({len(self.array)} of {', '.join(self.array.dtype.names or ())})"

    def write(self, row: int, values: tuple[int, ...]) -> None:
        """Overwrite `row` with `values`, in the order of the fields."""
        at = self._offset + row * self.array.itemsize
        self._memory[at : at + self._packer.size] = self._packer.pack(*values)

    def copy(self) -> np.ndarray:
        """Return the rows as they are now, shape (count,), not shared."""
        return self.array.copy()


class Log:
    """A list of records of `dtype` that one writer appends to, up to `capacity`.

    Made with a `descriptor` from `passable_memory(Log.size(...))` it is shared
    with whoever holds the same one; without, with children forked later.

    `records` and `head` are for a compiled writer: all places, shape (capacity,),
    and the int64 words WRITTEN and DROPPED.
    """

    def __init__(
        self,
        dtype: np.dtype,
        capacity: int,
        descriptor: int = -1,
        part: Part | None = None,
    ) -> None:
        self._packer = packer(dtype)
        size = self.size(dtype, capacity)
        self._memory, at = part or (shared_memory(size, descriptor), 0)
        self._first = at + ROW_BYTES
        self.records = np.frombuffer(self._memory, dtype, capacity, self._first)
        self.head = np.frombuffer(self._memory, "int64", ROW_BYTES // 8, at)
        self._head = memoryview(self._memory)[at : at + ROW_BYTES].cast("q")

    @staticmethod
    def size(dtype: np.dtype, capacity: int) -> int:
        """Return the bytes that a log of `capacity` records of `dtype` takes."""
        return ROW_BYTES + dtype.itemsize * capacity

    def __len__(self) -> int:
        return self._head[WRITTEN]

    def __repr__(self) -> str:
        return f"Log({len(self)} of {len(self.records)} records, {self.dropped} lost)"

    @property
    def dropped(self) -> int:
        """Records that found the log full."""
        return self._head[DROPPED]

    def append(self, *values: int) -> int:
        """Write one record and return its place, or -1 if the log is full."""
        place = self._head[WRITTEN]
        if place == len(self.records):
            self._head[DROPPED] += 1
            return -1
        self.rewrite(place, *values)
        self._head[WRITTEN] = place + 1
        return place

    def rewrite(self, place: int, *values: int) -> None:
        """Overwrite the record at `place`, as its writer learns more."""
        at = self._first + place * self.records.itemsize
        self._memory[at : at + self._packer.size] = self._packer.pack(*values)

    def copy(self) -> np.ndarray:
        """Return the records written so far, not shared."""
        return self.records[: len(self)].copy()


def columns(**fields: str) -> np.dtype:
    """Return the aligned dtype with these field names and types."""
    listed: list[tuple[str, Any]] = list(fields.items())
    return np.dtype(listed, align=True)
