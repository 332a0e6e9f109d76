"""A live picture: what it draws, that it moves, and that nothing of it is left."""

import gc
import os
import re
import signal
import sys
import threading
import time
import weakref
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import netlab
from netlab.load.result import LoadError
from netlab.show import live, live_page
from netlab.show.live_svg import Words, svg
from netlab.show.live_tables import live_alt, live_table
from netlab.show.svg_marks import nice, number
from netlab.stages.s5 import Stage
from netlab.watch.lately import Lately, Looks
from netlab.watch.regularly import Regularly
from tests.bounded import linux, thread_names, until

WORDS = Words("live", "4.0 s, 300 connections", "costs <nothing> & more", 10)
LOAD = {"connections": 40, "requests": 2}
OURS = ("netlab-picture", "netlab-load")


def seen(workers=2, cpus=2):
    """What one worker did alone: the others slept."""
    idle = workers - 1
    return Lately(
        over_s=3.0,
        accepted=[300, *[0] * idle],
        wakeups=[600, *[150] * idle],
        busy=[{0: 50.0}, *[{} for _ in range(idle)]],
        cpus=tuple(range(cpus)),
        per_s=(100.4, 520.0),
        rates=[(1.0, 80.0, 400.0), (0.0, 120.0, 640.0)],
        in_all=(300, 1500),
        age_s=4.0,
    )


def marks(text, kind):
    tree = ElementTree.fromstring(text)
    return [one for one in tree.iter() if one.tag.endswith(f"}}{kind}")]


def said(text):
    return ["".join(one.itertext()) for one in marks(text, "text")]


class Pages:
    """The part of a notebook's kernel that shows: what was sent, by its name."""

    kernel = None

    def __init__(self):
        self.display_pub = self
        self.sent, self.broken = [], False
        self.cell, self.run = "a", 0

    def publish(self, data, metadata, transient, update=False):
        if self.broken:
            raise OSError("the page is gone")
        self.sent.append((transient["display_id"], update, data))

    def get_parent(self):
        return {"header": {"msg_id": self.run}, "metadata": {"cellId": self.cell}}

    def html(self):
        """What the last picture sent is, as a page has it."""
        return [data["text/html"] for *_, data in self.sent if "<img" in str(data)][-1]


@pytest.fixture
def pages(monkeypatch):
    pages = Pages()
    ipython = SimpleNamespace(get_ipython=lambda: pages)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(live_page.Button, "show", lambda button, words: None)
    return pages


@pytest.fixture(scope="module")
def server():
    with netlab.Server(workers=2) as running:
        yield running


def left():
    return [name for name in thread_names() if name in OURS]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    until(lambda: not left())


# -- what is drawn


def test_every_worker_has_its_number_its_bar_and_its_cells():
    texts = said(svg(seen(), WORDS))
    for words in ("300", "0", "50", "50 % of one CPU", "2", "0.5", "2.5", "100", "520"):
        assert words in texts
    assert "● live: 4.0 s, 300 connections" in texts
    assert "costs <nothing> & more" in texts


@pytest.mark.parametrize(("workers", "cpus"), [(1, 1), (4, 2), (16, 64), (256, 256)])
def test_no_picture_is_taller_than_a_screen_or_leaves_its_card(workers, cpus):
    text = svg(seen(workers, cpus), WORDS)
    (card, *boxes) = marks(text, "rect")
    width, height = float(card.get("width")), float(card.get("height"))
    assert height < 1100
    for one in boxes:
        assert 0 <= float(one.get("x")) <= width - float(one.get("width"))
        assert 0 <= float(one.get("y")) <= height - float(one.get("height"))


def test_with_many_workers_and_cpus_numbers_are_left_out():
    assert len(said(svg(seen(256, 256), WORDS))) < 100


@pytest.mark.parametrize("state", ["live", "paused", "ended", "failed"])
def test_a_state_is_a_mark_and_a_word(state):
    heads = said(svg(seen(), WORDS._replace(state=state)))
    assert any(state in text and not text.startswith(state) for text in heads)


def test_where_nothing_was_accepted_wake_ups_per_accept_are_a_dash():
    quiet = seen()._replace(accepted=[0, 0], rates=[(0.0, 0.0, 0.0)])
    assert said(svg(quiet, WORDS)).count("–") == 3
    assert live_table(quiet)["wakeups_per_accept"].isna().all()


@pytest.mark.parametrize(
    ("most", "end"),
    [(0, 1), (float("nan"), 1), (3, 5), (5, 5), (70, 100), (0.03, 0.05)],
)
def test_an_axis_ends_at_a_round_number(most, end):
    assert nice(most) == pytest.approx(end)


def test_numbers_are_short():
    values = (12345.6, 0.123, 2.0, 45.678)
    assert [number(value) for value in values] == ["12,346", "0.12", "2", "46"]


def test_words_and_table_say_what_the_picture_shows():
    alt = live_alt(seen(), WORDS)
    assert "300 connections accepted, 2.5 wake-ups for each" in alt
    assert "Worker 0: 300 accepted, 50 % of CPU 0." in alt
    assert "100 connections and 520 requests a second" in alt
    assert "0 to 300; the table" in live_alt(seen(64), WORDS)
    assert live_table(seen()).to_dict("list") == {
        "worker": [0, 1], "accepts": [300, 0], "wakeups": [600, 150],
        "wakeups_per_accept": [2.0, 0.5], "cpu_0_percent": [50.0, 0.0],
    }  # fmt: skip


# -- what is read


@linux
def test_looks_count_what_the_load_opened_and_wake_nobody(server):
    looks = Looks(3.0, 10.0, 0.0)
    assert server.settle()
    before = server.snapshot()["wakeups"].tolist()
    looks.look(server)
    assert looks.now() is None
    for _ in range(20):
        looks.look(server)
    assert server.snapshot()["wakeups"].tolist() == before
    netlab.fire(server, progress=False, **LOAD)
    assert server.settle()
    looks.look(server)
    now = looks.now()
    assert (sum(now.accepted), now.in_all) == (40, (40, 80))
    used = {cpu for own in now.busy for cpu in own}
    assert used <= set(now.cpus)
    assert sum(now.wakeups) >= 40


@linux
def test_looks_that_are_too_old_are_forgotten(server, monkeypatch):
    looks, clock = Looks(1.0, 2.0, 0.0), iter(range(1000))
    monkeypatch.setattr(
        "netlab.watch.lately.time", SimpleNamespace(monotonic=lambda: next(clock) / 10)
    )
    for _ in range(100):
        looks.look(server)
    assert len(looks) == 21
    now = looks.now()
    assert (now.over_s, now.age_s) == (pytest.approx(0.9), pytest.approx(9.9))
    assert len(now.rates) == 20


@linux
def test_a_look_right_after_another_takes_its_place(server):
    looks = Looks(3.0, 10.0, 60.0)
    for _ in range(10):
        looks.look(server)
    assert len(looks) == 2


def test_what_is_done_regularly_costs_what_it_takes_and_keeps_its_error():
    def act():
        ends = time.thread_time() + 0.01
        while time.thread_time() < ends:
            pass
        return len(acts.append(None) or acts) < 5

    acts, ended = [], []
    often = Regularly("netlab-picture", 50, act, lambda: ended.append(1 / 0))
    often.start()
    often.wait()
    ms, percent = often.cost()
    assert len(acts) == 5
    assert 9 < ms < 30
    assert 10 < percent < 100
    assert isinstance(often.error, ZeroDivisionError)


# -- what runs


@linux
def test_while_load_runs_the_page_gets_several_pictures_and_keeps_the_last(
    pages, server
):
    with live.watch(server, rate_per_s=20) as picture:
        netlab.fire(server, duration_s=0.6, at_once=4, progress=False)
    first, *rest = pages.sent
    assert first[1] is False
    assert {name for name, *_ in rest} == {first[0]}
    assert all(update for _, update, _ in rest)
    assert len({data["text/plain"] for *_, data in pages.sent}) > 5
    assert "<details>" not in first[2]["text/html"]
    assert 'class="netlab-live"' in pages.html()
    assert "<details>" in pages.html()
    assert "ended:" in repr(picture)
    assert picture.cost()[0] > 0
    assert not picture.running


@linux
def test_a_load_in_the_background_can_be_held_still_and_waited_for(pages, server):
    before = server.counters()["accepted"].sum()
    picture = live.fire(server, 20, duration_s=1.0, at_once=4)
    picture._ipython_display_()
    picture.pause()
    count, held = len(pages.sent), pages.html()
    time.sleep(0.25)
    assert (len(pages.sent), "paused" in held, "<details>" in held) == (
        count,
        True,
        True,
    )
    picture.resume()
    until(lambda: len(pages.sent) > count + 3)
    load = picture.wait()
    made = server.counters()["accepted"].sum() - before
    assert len(load.connections) == made > 0
    assert re.search(rf"ended: [\d.]+ s, {made:,} connections", repr(picture))
    assert server.running


@linux
def test_what_was_held_still_stays_so_when_the_load_ends(pages, server):
    picture = live.fire(server, 20, duration_s=0.4, at_once=2)
    picture._ipython_display_()
    picture.pause()
    until(lambda: not picture.running)
    assert "paused" in pages.html()
    picture.resume()
    assert "ended" in pages.html()


@linux
def test_a_server_made_for_the_load_is_gone_after_it(pages):
    picture = live.fire(lambda: Stage(workers=2), **LOAD)
    assert picture.server.running
    assert len(picture.wait().connections) == 40
    until(lambda: not left())
    assert "40 connections accepted" in repr(picture)
    gc.collect()
    assert picture.server is None


@linux
def test_outside_of_a_notebook_nothing_is_shown_or_printed(server, capfd, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with live.watch(server, rate_per_s=20) as picture:
        time.sleep(0.2)
    assert "2 workers" in repr(picture)
    assert capfd.readouterr() == ("", "")


# -- what ends it


def stop(picture, server, pages):
    server.stop()


def close(picture, server, pages):
    picture.close()
    picture.close()


def run_the_cell_again(picture, server, pages):
    pages.run += 1
    with netlab.Server(workers=1) as other, live.watch(other):
        assert not picture.running


def interrupt_the_wait(picture, server, pages):
    main = threading.main_thread().ident
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        picture.wait()


LONG = {"duration_s": 30, "at_once": 2}
ENDS = [(stop, {}), (close, LONG), (run_the_cell_again, {})]
ENDS += [(interrupt_the_wait, {}), (interrupt_the_wait, LONG)]


@linux
@pytest.mark.parametrize(("end", "load"), ENDS, ids=str)
def test_it_ends_with_whatever_comes_first(pages, end, load):
    with netlab.Server(workers=1) as server:
        picture = live.fire(server, **load) if load else live.watch(server)
        end(picture, server, pages)
        until(lambda: not left())
        assert server.running or end in (stop, run_the_cell_again)


@linux
@pytest.mark.parametrize("load", [{}, LONG], ids=str)
def test_it_ends_with_its_last_name_and_holds_no_server(pages, load):
    server = netlab.Server(workers=1)
    picture = live.fire(server, **load) if load else live.watch(server)
    known = weakref.ref(server)
    del server
    if not load:
        gc.collect()
        assert known() is None
    del picture
    gc.collect()
    until(lambda: not left())
    until(lambda: gc.collect() is not None and known() is None)


def test_it_ends_with_the_process(fresh):
    program = """
        import netlab
        from netlab.show import live
        server = netlab.Server(workers=1)
        picture = live.fire(server, duration_s=30, at_once=2)
        print(picture.running)
    """
    assert fresh(program) == ["True"]


@linux
def test_many_pictures_leave_no_descriptor(pages, server):
    def look():
        with live.watch(server, rate_per_s=20):
            time.sleep(0.06)

    look()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        look()
    assert len(os.listdir("/proc/self/fd")) == before


# -- what goes wrong


@linux
def test_a_load_that_fails_is_told_in_the_picture_and_by_wait(pages):
    with netlab.Server(workers=1) as server:
        picture = live.fire(server, duration_s=5, at_once=2)
        picture._ipython_display_()
        server.stop()
        with pytest.raises(LoadError):
            picture.wait()
    assert "failed" in pages.html()


@linux
def test_an_error_of_its_thread_is_told_by_wait_and_not_printed(
    pages, server, capfd, monkeypatch
):
    picture = live.watch(server, rate_per_s=20)
    picture._ipython_display_()
    pages.broken = True
    until(lambda: not picture.running)
    assert capfd.readouterr() == ("", "")
    pages.broken = False
    with pytest.raises(OSError, match="the page is gone"):
        picture.wait()
    assert "failed: the page is gone" in picture._repr_mimebundle_()["text/plain"]


@linux
@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"rate_per_s": 100}, ValueError, "rate_per_s=100: at most 20"),
        ({"rate_per_s": 0}, ValueError, "rate_per_s=0"),
        ({"conections": 3}, TypeError, "conections"),
        ({"connections": 0}, ValueError, "connections=0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_its_cell(server, wrong, error, told):
    with pytest.raises(error, match=told):
        live.fire(server, **wrong)


@linux
def test_a_stopped_server_is_refused():
    with netlab.Server(workers=1) as server:
        pass
    with pytest.raises(RuntimeError, match="nothing to watch"):
        live.watch(server)
