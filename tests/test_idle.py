"""As many idle connections as the descriptor limit allows, held by one worker."""

import resource
import sys

import pytest

from benchmarks import idle
from benchmarks.bench import opened
from benchmarks.settings import IDLE_LIMIT, Settings
from netlab.kernel.limits import raised_descriptor_limit


@pytest.mark.skipif(sys.platform != "linux", reason="the server needs Linux")
@pytest.mark.timeout(300)
def test_one_worker_holds_them_all_and_still_answers():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = idle.most(IDLE_LIMIT)
    with (
        raised_descriptor_limit(most + idle.OWN),
        opened(Settings()) as bench,
        bench.fresh("netlab python") as server,
    ):
        seen = idle.hold(server, most)  # it asks an active client in between
    assert seen["open"] == seen["connections"] == most > 500
    assert 0 < seen["bytes_each"] < 2048  # Python's own objects, and nothing buffered
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
