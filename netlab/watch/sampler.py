"""The sampler: a thread that looks at the workers' threads at a steady rate.

Facts. Looking costs: some tens of microseconds a worker and look, for three files of
/proc, in the same process as the server and under the same GIL, which every call of
the kernel gives up and has to get again. Looking does not wake the worker that is
looked at, so the wake-ups are not disturbed; the CPU and the GIL are.

Decision. The files stay open from look to look (`threads.kept_open`) until the sampler
ends, at the latest one look after its server. The sampler measures itself
(`cost_percent`, of one CPU), and a run says its rate. Samples are kept as raw arrays
and made into a table once, at the end. They are bounded: at SAMPLES_LIMIT the sampler
stops and says so.

Where a worker's thread is (`psr`) is the kernel's word; what it counted is its
own (`netlab.counters`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from netlab import counters
from netlab.checks import finite
from netlab.kernel import threads

if TYPE_CHECKING:
    import pandas as pd

    from netlab.watch.watched import Watched

SAMPLES_LIMIT = 100_000  # looks; at 20 a second that is more than an hour
HIGHEST_RATE_PER_S = 200.0  # beyond it, the watching is the load


class Sampler:
    """Looks at `server` every 1/rate_per_s seconds, from `start` to `stop`.

    As a context manager it runs inside the block. A look is a snapshot of the
    counters, and the CPU that each worker's thread was last on.
    """

    def __init__(self, server: Watched, rate_per_s: float = 20.0) -> None:
        finite("rate_per_s", rate_per_s, 0.01)
        if rate_per_s is None or rate_per_s > HIGHEST_RATE_PER_S:
            raise ValueError(
                f"rate_per_s={rate_per_s}: at most {HIGHEST_RATE_PER_S:.0f}; faster "
                "looking would disturb what it looks at"
            )
        self.rate_per_s = rate_per_s
        self._server = server
        self._tids = server.tids
        self._looks: list[tuple[int, list[int], np.ndarray]] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._used_ns = 0
        self._began_ns = self._ended_ns = time.monotonic_ns()

    def __enter__(self) -> Sampler:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        full = ", and no room for more" if len(self) >= SAMPLES_LIMIT else ""
        return f"<netlab.Sampler: {len(self)} looks at {self.rate_per_s:g}/s{full}>"

    def __len__(self) -> int:
        return len(self._looks)

    def start(self) -> Sampler:
        """Begin to look; returns the sampler. May be called once."""
        if self._thread is not None:
            raise RuntimeError("this sampler was started before: make another one")
        self._began_ns = time.monotonic_ns()
        self._thread = threading.Thread(
            target=self._run, name="netlab-sampler", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look a last time and end; more calls do nothing."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        threads.set_name("netlab-sampler", threading.get_native_id())
        with threads.kept_open():
            self._look_regularly(1 / self.rate_per_s)

    def _look_regularly(self, period_s: float) -> None:
        due = time.monotonic()
        while self._look() and len(self._looks) < SAMPLES_LIMIT:
            due = max(due + period_s, time.monotonic())
            if self._over.wait(due - time.monotonic()):
                self._look()
                return

    def _look(self) -> bool:
        """Take one sample; False when there is nothing more to see."""
        try:
            now = time.monotonic_ns()
            cpus = [threads.cpu_of(tid) for tid in self._tids]
            self._looks.append((now, cpus, self._server.snapshot()))
        except LookupError:
            return False
        except OSError:
            pass  # no descriptor left to look with: at the next look, perhaps
        finally:
            self._used_ns = time.thread_time_ns()
            self._ended_ns = time.monotonic_ns()
        return self._server.running

    def cost_percent(self) -> float:
        """Return the CPU time the sampler took, in percent of one CPU."""
        return 100 * self._used_ns / max(self._ended_ns - self._began_ns, 1)

    def samples(self) -> pd.DataFrame:
        """Return a row per look and worker.

        Columns: `time_ns` (CLOCK_MONOTONIC), `time_s` since the first look,
        `psr` (the CPU its thread was last on), and the counters.
        """
        looks = list(self._looks)
        rows = [rows for _, _, rows in looks] or [np.empty(0, counters.DTYPE)]
        times = np.repeat([at for at, _, _ in looks], len(self._tids)).astype("int64")
        frame = counters.table(np.concatenate(rows))
        frame.insert(0, "psr", [cpu for _, cpus, _ in looks for cpu in cpus])
        frame.insert(0, "time_s", (times - times[:1]) / 1e9)
        frame.insert(0, "time_ns", times)
        return frame
