"""As many idle connections as the descriptor limit allows, held by one worker."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "idle_connections.py"


@pytest.mark.timeout(300)
def test_one_worker_holds_them_all_and_still_answers():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["failures"] == {}
    assert seen["open"] == seen["connections"] > 500
    assert seen["active_client_status"] == 200
    assert 0 < seen["bytes_each"] < 2048  # Python's own objects, and nothing buffered
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
