"""A real Chromium as a client: pages, long bodies, and many requests at once."""

import hashlib

import pytest

from netlab.server import engines
from netlab.server.server import Server
from tests.jupyterlab import CHROMIUM, chromium

SIZES = [1_000_000, *range(0, 60_000, 1_500)]  # more at a time than it has connections
LETTERS = bytes(range(0x21, 0x61))  # what a body repeats
FETCH = """async (sizes) => Promise.all(sizes.map(async (size) => {
  const answer = await fetch(`/bytes/${size}`, {cache: "no-store"});
  const body = await answer.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return [answer.status, body.byteLength,
          [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")];
}))"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here (apt: chromium)"
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    pytest.importorskip("playwright.sync_api")
    with chromium(tmp_path_factory.mktemp("client") / "profile") as (tab, _):
        yield tab


@pytest.fixture(params=["python", "compiled"])
def server(request):
    if reason := engines.find(request.param).missing():
        pytest.skip(reason)
    with Server(workers=2, engine=request.param) as server:
        yield server


def digest_of(size):
    body = (LETTERS * (size // len(LETTERS) + 1))[:size]
    return hashlib.sha256(body).hexdigest()


def test_chromium_shows_the_page_and_fetches_all_at_once(server, tab):
    answer = tab.goto("http://{}:{}/".format(*server.address))
    assert answer.status == 200
    assert answer.json()["worker"] in (0, 1)
    expected = [[200, size, digest_of(size)] for size in SIZES]
    for _ in range(3):
        assert tab.evaluate(FETCH, SIZES) == expected
    missing = tab.evaluate("async () => (await fetch('/none')).status")
    assert missing == 404
    tab.goto("about:blank")
    counts = server.counters()
    assert counts["accepted"].sum() > 1, "it asked for one after the other"
    assert counts["answers"].sum() >= 2 + 3 * len(SIZES)
    assert not counts[["faults", "resets"]].any(axis=None)
