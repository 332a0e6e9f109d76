"""The order in which loops wait for the first time."""

from netlab.server.line import Line
from tests.bounded import linux

BY_A_CHILD = """
    import os
    from netlab.server.line import Line

    line = Line()
    first, second = line.join(), line.join()
    if os.fork() == 0:
        line.leave(first)
        os._exit(0)
    print(line.is_next(first), os.wait()[1], line.is_next(second))
"""


def test_each_waits_until_all_before_have_gone():
    line = Line()
    first, second, third = (line.join() for _ in range(3))
    assert [line.is_next(place) for place in (first, second, third)] == [1, 0, 0]
    line.leave(first)
    line.leave(first)  # at every wait
    assert [line.is_next(place) for place in (first, second, third)] == [1, 1, 0]
    line.leave(third)  # it closes without having waited
    assert line.is_next(second)


@linux
def test_forked_workers_stand_in_one_line(fresh):
    assert fresh(BY_A_CHILD) == ["True", "0", "True"]
