"""What a server's workers share with whoever watches and stops them: one mapping.

Facts. A worker may be a thread of the reader's process or a process of its own. Both
write counter rows and accept logs, and both must learn of the stop: one that sleeps
by its loop, one that is busy by a look at memory, which costs no system call.

Decision. Rows, logs and the stop's word lie in one mapping, so that a process needs
one descriptor for all of it. To stop, the word is written first, then the eventfd:
it is in every loop, level-triggered, and nobody ever reads it, so that written once
it wakes every worker, however many there are. A worker looks at the word before each
client, in either engine.

What may not be put here: what a row or a record means.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from netlab import counters
from netlab.records import ROW_BYTES, Log, Part, Rows, shared_memory
from netlab.server import accept_log


class Shared:
    """Rows, logs and the stop of one server.

    memory, if it is not -1, is a descriptor of `size` bytes, shared with whoever holds
    the same one; stop is the eventfd, if there is one already (else `open_stop`). Both
    belong to this object.
    """

    def __init__(
        self, workers: int, log_capacity: int, memory: int = -1, stop: int = -1
    ) -> None:
        self.stop, self.memory = stop, memory
        at = self._offsets(workers, log_capacity)
        mapping = shared_memory(at[-1], memory)
        self.rows = Rows(counters.DTYPE, workers, Part(mapping, at[1]))
        self.logs = [
            Log(accept_log.DTYPE, log_capacity, part=Part(mapping, place))
            for place in at[2:-1]
        ]
        self.stopping = np.frombuffer(mapping, "int64", 1, at[0])

    @classmethod
    def size(cls, workers: int, log_capacity: int) -> int:
        """Return the bytes that all of it takes."""
        return cls._offsets(workers, log_capacity)[-1]

    @staticmethod
    def _offsets(workers: int, log_capacity: int) -> list[int]:
        """Return where the word, the rows and each log begin, and where all ends."""
        logs = [Log.size(accept_log.DTYPE, log_capacity)] * workers
        offsets = [0]
        for size in (ROW_BYTES, Rows.size(counters.DTYPE, workers), *logs):
            pages = -(-size // mmap.PAGESIZE)
            offsets.append(offsets[-1] + pages * mmap.PAGESIZE)
        return offsets

    def open_stop(self) -> None:
        """Make the eventfd."""
        self.stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def tell_to_stop(self) -> None:
        """Tell every worker, asleep or busy; more calls do no harm."""
        self.stopping[0] = 1
        if self.stop >= 0:
            os.eventfd_write(self.stop, 1)

    def close(self) -> None:
        """Give the descriptors back; rows and logs stay readable."""
        descriptors, self.stop, self.memory = (self.stop, self.memory), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    __del__ = close  # of a server that was never made whole
