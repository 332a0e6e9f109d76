"""What a server's workers share with whoever watches and stops them: one mapping.

Facts. A worker may be a thread of the reader's process or a process of its own. Both
write counter rows and logs, and both must learn of the stop: one that sleeps by its
loop, one that is busy by a look at memory, which costs no system call.

Decision. Rows, logs and the stop's word lie in one mapping, so that a process needs
one descriptor for all of it. To stop, the word is written first, then the eventfd:
it is in every loop, level-triggered, and nobody ever reads it, so that written once
it wakes every worker, however many there are. A worker looks at the word before each
client, in either engine. Memory that is never written costs nothing: the table of
whom each acceptor gave how many grows with the square of the workers, and is for
strategies that place connections only.

What may not be put here: what a row or a record means.
"""

from __future__ import annotations

import itertools
import mmap
import os
from typing import NamedTuple

import numpy as np

from netlab import counters
from netlab.records import ROW_BYTES, Log, Part, Rows, shared_memory
from netlab.server.logs import ACCEPT, TURN
from netlab.server.placement import MEMORY_WORDS

WORD_BYTES = 8


class Sizes(NamedTuple):
    """How many workers there are, and how many records each one's logs can hold."""

    workers: int
    accepts: int
    turns: int = 0

    def stride(self) -> int:
        """Return the words from one acceptor's row to the next: whole cache lines."""
        each = ROW_BYTES // WORD_BYTES
        return -(-self.workers // each) * each

    def parts(self) -> list[int]:
        """Return the bytes of each part: word, rows, placed, memories, logs."""
        accepts, turns = Log.size(ACCEPT, self.accepts), Log.size(TURN, self.turns)
        return [
            ROW_BYTES,
            Rows.size(counters.DTYPE, self.workers),
            self.workers * self.stride() * WORD_BYTES,
            self.workers * ROW_BYTES,
            *([accepts] * self.workers),
            *([turns] * self.workers),
        ]

    def offsets(self) -> list[int]:
        """Return where each part begins, on a page of its own, and where all ends."""
        pages = (-(-size // mmap.PAGESIZE) for size in self.parts())
        return [n * mmap.PAGESIZE for n in itertools.accumulate(pages, initial=0)]


class Shared:
    """Rows, logs and the stop of one server.

    memory, if it is not -1, is a descriptor of `size` bytes, shared with whoever holds
    the same one; stop is the eventfd, if there is one already (else `open_stop`). Both
    belong to this object.

    placed: int64, shape (workers, workers): whom each acceptor gave how many.
    memories: int64, shape (workers, MEMORY_WORDS): what placement remembers.
    """

    def __init__(self, sizes: Sizes, memory: int = -1, stop: int = -1) -> None:
        self.stop, self.memory, self.sizes = stop, memory, sizes
        self._lay_out(shared_memory(self.size(sizes), memory))

    def _lay_out(self, mapping: mmap.mmap) -> None:
        """Find all parts in a mapping."""
        self._mapping, sizes = mapping, self.sizes
        word, rows, placed, memories, *logs, _ = sizes.offsets()
        count, stride = sizes.workers, sizes.stride()
        self.stopping = np.frombuffer(mapping, "int64", 1, word)
        self.rows = Rows(counters.DTYPE, count, Part(mapping, rows))
        whole = np.frombuffer(mapping, "int64", count * stride, placed)
        self.placed = whole.reshape(count, stride)[:, :count]
        words = np.frombuffer(mapping, "int64", count * ROW_BYTES // 8, memories)
        self.memories = words.reshape(count, -1)[:, :MEMORY_WORDS]
        self.logs = [
            Log(ACCEPT, sizes.accepts, part=Part(mapping, at)) for at in logs[:count]
        ]
        self.turn_logs = [
            Log(TURN, sizes.turns, part=Part(mapping, at)) for at in logs[count:]
        ]

    @staticmethod
    def size(sizes: Sizes) -> int:
        """Return the bytes that all of it takes."""
        return sizes.offsets()[-1]

    def open_stop(self) -> None:
        """Make the eventfd."""
        self.stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def tell_to_stop(self) -> None:
        """Tell every worker, asleep or busy; more calls do no harm."""
        self.stopping[0] = 1
        if self.stop >= 0:
            os.eventfd_write(self.stop, 1)

    def close(self) -> None:
        """Give the descriptors back; rows and logs stay readable.

        A mapping of a descriptor holds one of its own, so all is copied out of it.
        """
        if self.memory >= 0:
            copy = shared_memory(self.size(self.sizes))
            copy[:] = self._mapping[:]
            self._lay_out(copy)
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """Give the descriptors back."""
        descriptors, self.stop, self.memory = (self.stop, self.memory), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    __del__ = close_descriptors  # of a server that was never made whole
