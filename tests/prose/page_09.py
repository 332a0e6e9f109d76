"""Sharding the port."""

from netlab.show.settling_tables import allowed, last_marks, settling_table
from netlab.study.orders import chance
from tests.prose.rows import Bound, Stated, table


def deviations_ms():
    """Return the least and the greatest deviation of a recorded run of the hash."""
    runs = table("latency-tail", "summary").query("strategy == 'reuseport'")
    return runs["dev_ms"].min(), runs["dev_ms"].max()


def settled():
    """Return how far off the hash ended, and the race, and where by what chance allows.

    As the figure has it, in percentage points.
    """
    ends = last_marks(settling_table(table("order", "orders"))).set_index("strategy")
    off, at = ends["off_points"], ends["connections"].max()
    is_out = off["level"] > allowed(chance(400), at)
    return off["reuseport"], off["level"], "outside" if is_out else "inside"


BOUND = [
    Bound("09", "In the recording the lots ended {:.1f} points off, and the race (the "
          "hollow triangle) {:.1f} points, {} the shade", settled),
    Bound("09", "the standard deviation of one was {:.1f} ms and of another {:.1f} ms",
          deviations_ms),
]  # fmt: skip

STATED = [
    Stated("09", "percentage points above its 25 %", "chance"),
    Stated("09", "the busiest of four workers has 28 %", "meaning"),
    Stated("09", "with the shared queue (`exclusive`) as 100 %", "meaning"),
    Stated("09", "costs a worker one millisecond of CPU time", "setting"),
    Stated("09", "(since Linux 5.14)", "version"),
    Stated("09", "**99.99 %.** A band this wide", "chance"),
]
