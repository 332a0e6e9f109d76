"""The pages in JupyterLab, in a real Chromium: run, interrupted, restarted, run again.

Each page takes a minute, so there are three of them unless NETLAB_PROVE is set, and one
is interrupted, another restarted, the first both. With it, each page first runs three
times in a row, is interrupted in its longest cell, too, and restarted.
Screenshots go to the folder named by NETLAB_SCREENSHOTS, if it is set.
"""

import json
import os
import re
import time
from pathlib import Path

import pytest

from tests.bounded import ROOT, until
from tests.jupyterlab import CHROMIUM, Page, chromium, holds, lab

PAGES = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOME = ("00", "06", "12")  # the others, too, if NETLAB_PROVE is set
INTERRUPTED, RESTARTED = ("00", "06"), ("00", "12")
ALL = "NETLAB_PROVE" in os.environ
if not ALL:
    PAGES = [name for name in PAGES if name.startswith(SOME)]
RUNS = 3 if ALL else 1
LONG_S = 3.0  # a cell in whose middle somebody may lose patience
GONE_S = 10.0  # after which nothing may be left of what was stopped
MOVES = 3
LIVE = re.compile(r"\blive\.(watch|fire)\(")

# Servers that serve while the kernel is restarted, as cells that are done left them.
SERVERS = """
import threading, netlab
kept = [netlab.Server(workers=2, workers_as=kind, engine=engine)
        for kind in ("threads", "processes") for engine in ("python", "compiled")]
load = dict(duration_s=50, at_once=8, progress=False)
threading.Thread(target=netlab.fire, args=(kept,), kwargs=load, daemon=True).start()
"""
STOP = """
import gc, threading, netlab
for one in list(globals().values()):
    if isinstance(one, netlab.Server):
        one.stop()
del one
gc.collect()
print(*sorted(thread.name.split("-")[0] for thread in threading.enumerate()))
"""

pytestmark = [
    pytest.mark.timeout(1800 if ALL else 420),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt: chromium)"),
]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    pytest.importorskip("playwright.sync_api")
    with lab(tmp_path_factory.mktemp("jupyter")) as running:
        yield running
    assert "Traceback" not in (running.home / "log").read_text()


@pytest.fixture
def tab(tmp_path):
    """A tab, on whose console there is no error in the end."""
    with chromium(tmp_path / "profile") as (tab, errors):
        yield tab
        tab.evaluate("0")  # what was said before is heard by then
        assert errors == []


def code_of(name):
    """The code cells of a page as it is committed."""
    cells = json.loads((ROOT / "notebooks" / name).read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def pictures_of(name):
    bundles = [out.get("data", {}) for one in code_of(name) for out in one["outputs"]]
    return sum("".join(one.get("text/html", "")).count("<img ") for one in bundles)


def is_live(name):
    return any(LIVE.search("".join(cell["source"])) for cell in code_of(name))


def keep(tab, name, step):
    print(f"{time.monotonic():.0f} s: {name[:2]} {step}")
    if folder := os.environ.get("NETLAB_SCREENSHOTS"):
        tab.screenshot(path=str(Path(folder) / f"{name[:2]}-{step}.png"))


def rests(page):
    """Stop what the page's names hold; return what its kernel has then.

    The last exception is kept for the reader, with all that its functions held, until
    there is another one.
    """
    (kernel,) = page.lab.kernels()
    assert "ZeroDivisionError" in page.say("1 / 0")
    threads = page.say(STOP).split()
    return {"threads": threads, "has open": holds(kernel), "left": gone(page.lab)}


def comes_to_rest(page, first):
    """Wait until the kernel has what it had at first, and no more."""
    try:
        until(lambda: rests(page) == first, GONE_S)
    except AssertionError:
        now = rests(page)
    else:
        return
    had, has = first.pop("has open"), now.pop("has open")
    assert now == first
    assert dict(has.items() - had.items()) == dict(had.items() - has.items())


def gone(lab):
    """What is left after a while: nothing, or what it is."""
    try:
        until(lambda: lab.left_behind() == [], GONE_S)
    except AssertionError:
        return lab.left_behind()
    return []


def shows_its_pictures(page, name):
    assert page.ask("pictures()") == pictures_of(name) > 0


def runs_well(page, name):
    """Run all cells, look at each picture; return how long each cell took."""
    seconds = page.run_all()
    print(f"all cells ran: {sum(seconds.values()):.0f} s")
    assert page.ask("errors()") == []
    assert page.ask("complaints()") == []
    shows_its_pictures(page, name)
    if is_live(name):
        assert page.ask("seen()")["frames"] > MOVES, "the live picture stands still"
    assert gone(page.lab) == []
    return seconds


def is_readable_in_both_themes(page, name):
    for theme in ("Dark", "Light"):
        page.theme(theme)
        page.ask("show(netlab.central())")
        keep(page.tab, name, theme.lower())


def long_cells(seconds):
    """The first cell that takes long, and in the long test the longest one, too."""
    seconds = {cell: took for cell, took in seconds.items() if cell > 0}  # imports
    longest = max(seconds, key=seconds.__getitem__)
    first = [cell for cell, took in seconds.items() if took >= LONG_S][:1] or [longest]
    return sorted({*first, longest}) if ALL else first


def is_interrupted(page, name, cell, took):
    """Interrupt a cell in its middle: it says so, and the cells behind it wait.

    It may be quicker than it was, and the interrupt come when a later one runs.
    """
    page.run_until_in(cell, took / 4)
    page.interrupt()
    (error,) = page.ask("errors()")
    assert error["name"] == "KeyboardInterrupt", error["text"]
    assert error["cell"] >= cell
    page.ask(f"show({error['cell']})")
    keep(page.tab, name, f"interrupted-{error['cell']}")


def is_restarted_while_servers_run(page, name):
    assert page.say(SERVERS) == ""
    before = page.lab.kernels()
    until(lambda: len(page.lab.left_behind()) == 11)  # two hosts, eight workers, a load
    page.restart()
    until(lambda: page.ask("idle()") and page.lab.kernels() != before)
    assert gone(page.lab) == []
    keep(page.tab, name, "restarted")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_and_is_interrupted_and_restarted(jupyterlab, tab, name):
    page = Page(jupyterlab, tab, name)
    shows_its_pictures(page, name)  # as they were saved, in a page that nobody trusts
    for _ in range(RUNS):
        seconds = runs_well(page, name)
    is_readable_in_both_themes(page, name)
    first = rests(page)
    assert first["left"] == []
    if ALL or name.startswith(INTERRUPTED):
        for cell in long_cells(seconds):
            is_interrupted(page, name, cell, seconds[cell])
            comes_to_rest(page, first)
    if ALL or name.startswith(RESTARTED):
        is_restarted_while_servers_run(page, name)
        runs_well(page, name)
        keep(page.tab, name, "again")
    page.ask("shutDown()")
    until(lambda: page.lab.processes() == [], GONE_S)
