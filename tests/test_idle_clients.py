"""Study idle-clients: turns among idle descriptors, a figure, and a crowd."""

import os
import resource
from itertools import product

import pandas as pd
import pytest

from netlab.kernel import limits
from netlab.server import engines
from netlab.show import figures, idle_tables, page
from netlab.show.idle import STYLES, idle_clients
from netlab.show.palette import CARD, ROLES
from netlab.show.plots import show
from netlab.stages import crowd, s2, s3
from netlab.study import idle
from tests.bounded import linux

compiled = pytest.mark.skipif(
    engines.find("compiled").missing() is not None, reason="Numba is not here"
)
SMALL = {"idle": (10, 400), "busy": (1, 20), "turns": 20, "progress": False}


@pytest.fixture(scope="module")
def found():
    return idle.idle_clients(repeats=2, **SMALL)


# -- what is measured -----------------------------------------------------------------


@linux
@compiled
def test_every_way_is_timed_in_both_versions_and_every_number(found):
    table = found.tables["idle"]
    kinds = ["way", "engine", "idle", "repeat"]
    expected = set(product(idle.WAYS, idle.ENGINES, SMALL["idle"], range(2)))
    assert set(table[kinds].itertuples(index=False, name=None)) == expected
    assert len(table) == len(expected)
    assert (table["active"] == idle.ACTIVE).all()
    busy = found.tables["busy"]
    kinds = ["way", "active", "repeat"]
    expected = set(product((*idle.WAYS, idle.ANEW), SMALL["busy"], range(2)))
    assert set(busy[kinds].itertuples(index=False, name=None)) == expected
    assert (busy["idle"] == 0).all()
    assert (table["turn_us"] > 0).all()
    assert (busy["turn_us"] > 0).all()


@linux
@compiled
def test_among_idle_descriptors_poll_and_select_take_longer_than_epoll(found):
    for engine in idle.ENGINES:
        least = {w: min(idle.turns_us(found, w, 400, engine)) for w in idle.WAYS}
        assert least["poll"] > 1.3 * least["epoll"]
        assert least["select"] > 1.3 * least["epoll"]
    assert min(idle.busy_us(found, "anew")) > 1.3 * min(idle.busy_us(found, "poll"))


@linux
@compiled
def test_the_limit_of_this_process_and_its_descriptors_are_left_alone():
    before = resource.getrlimit(resource.RLIMIT_NOFILE), os.listdir("/proc/self/fd")
    least = {**SMALL, "busy": (), "turns": 1}
    found = idle.idle_clients(repeats=1, **least)
    after = resource.getrlimit(resource.RLIMIT_NOFILE), os.listdir("/proc/self/fd")
    assert after == before
    assert set(found.tables) == {"idle"}
    assert found.notes[-1].endswith("nobody else's was changed")


@linux
@compiled
def test_where_the_hard_limit_is_low_the_grid_ends_and_a_note_says_so(monkeypatch):
    soft = limits.descriptor_limits()[0]
    monkeypatch.setattr(idle, "descriptor_limits", lambda: (soft, 200))
    asked = {**SMALL, "idle": (10, 100, 5000), "busy": (1, 150), "turns": 1}
    found = idle.idle_clients(repeats=1, **asked)
    assert set(found.tables["idle"]["idle"]) == {10, 100}
    assert set(found.tables["busy"]["active"]) == {1}
    assert found.notes[0] == (
        "a process may have 200 descriptors here (hard limit), so the grid ends at 100 "
        "instead of 5,000"
    )


def test_select_is_asked_for_no_descriptor_that_it_does_not_know():
    ways = {
        (point.labels["way"], point.labels["idle"])
        for point in idle._idle_points((1000, 1010))
    }
    assert ("select", 1000) in ways
    assert ("select", 1010) not in ways
    assert ("poll", 1010) in ways


@linux
@compiled
def test_a_process_that_ends_early_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(idle, "WAYS", ("epoll", "kqueue"))
    with pytest.raises(
        RuntimeError, match=r"the process that measures ended: ValueError"
    ):
        idle.idle_clients(repeats=1, **SMALL)


@pytest.mark.parametrize(
    "wrong", [{"idle": (-1,)}, {"busy": (0,)}, {"turns": 0}, {"turns": 1.5}]
)
def test_numbers_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        idle.idle_clients(**{**SMALL, **wrong})


@linux
def test_a_turn_that_finds_another_number_is_no_turn():
    from netlab.study import idle_turns

    idle_turns._same(3, 3)
    with pytest.raises(RuntimeError, match="found 2 descriptors, 3 were to be"):
        idle_turns._same(2, 3)


@linux
def test_the_watched_descriptors_are_the_lowest_and_all_are_closed():
    from netlab.study.idle_turns import opened

    before = os.listdir("/proc/self/fd")
    limit = limits.descriptor_limits()[0]
    with opened(5, 2, limit) as sockets:
        assert len(sockets.watched) == 7
        assert sockets.watched == sorted(sockets.watched)
        assert min(sockets.writers) >= limit - 2
        os.write(sockets.writers[0], b"?")
        assert os.read(sockets.watched[0], 9) == b"?"
    assert os.listdir("/proc/self/fd") == before


# -- a crowd --------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("stage", [s2.Stage, s3.Stage])
def test_a_crowd_is_held_and_one_more_is_answered(stage):
    before = limits.descriptor_limits()
    table = crowd.answers_us(stage, (0, 30), repeats=2)
    assert table.columns.tolist() == [0, 30]
    assert table.shape == (2, 2)
    assert (table > 0).all(axis=None)
    assert limits.descriptor_limits() == before


@linux
def test_a_server_that_answers_nothing_is_told():
    class Mute(s3.Stage):
        def start(self):
            super().start()
            self.worker.reply = lambda client: False

    with pytest.raises(AssertionError, match="it answered b''"):
        crowd.answers_us(Mute, (0,), repeats=1)


def test_a_crowd_is_as_large_as_two_descriptors_each_allow(monkeypatch):
    monkeypatch.setattr(crowd, "descriptor_limits", lambda: (256, 4096))
    assert crowd.most_idle(10_000) == (4096 - crowd.OWN) // 2
    assert crowd.most_idle(100) == 100


# -- the figure -----------------------------------------------------------------------


def turns_of(slope=0.1, counts=(10, 100, 1000), repeats=3, ways=idle.WAYS):
    """Turns of which epoll's stay, and the others' climb."""
    each, adds = (
        {"select": slope, "poll": slope, "epoll": 0},
        {"compiled": 5, "python": 10},
    )
    rows = [
        {
            "way": way, "engine": engine, "idle": count, "active": 10, "repeat": repeat,
            "turn_us": (adds[engine] + each[way] * count) * (1 + repeat),
        }
        for way, engine, count, repeat in product(
            ways, idle.ENGINES, counts, range(repeats)
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def marks(axes, style, face, edge=None):
    """The points of all lines with that marker and face."""
    return [
        point
        for line in axes.lines
        if line.get_marker() == style.marker
        and line.get_markerfacecolor() == face
        and edge in (None, line.get_markeredgecolor())
        for point in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def test_each_way_has_its_medians_full_if_compiled_and_hollow_in_python():
    axes = idle_clients(turns_of())
    style = STYLES["poll"]
    assert marks(axes, style, style.color) == [(10, 12), (100, 30), (1000, 210)]
    assert marks(axes, style, CARD) == [(10, 22), (100, 40), (1000, 220)]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    told = [text.get_text() for text in axes.texts]
    assert "epoll:\n10 µs" in told
    assert "poll, in Python:\n220 µs" in told
    assert any("above 1,023" in text for text in told)


def test_without_select_nothing_is_said_of_its_end():
    axes = idle_clients(turns_of(ways=("poll", "epoll")))
    assert not [text for text in axes.texts if "1,023" in text.get_text()]


def test_the_title_says_what_the_numbers_bear_out_and_no_more():
    assert "grows 18 times, epoll's stays" in idle_clients(turns_of()).get_title("left")
    assert idle_clients(turns_of(0.001)).get_title("left") == "What a turn costs"


def test_a_guess_of_times_is_a_ghost_at_the_far_end():
    guess = {"poll": 3, "epoll": 200}
    axes = idle_clients(turns_of(), predicted=guess)
    ghost = ROLES["predicted"]
    assert marks(axes, ghost, CARD, ghost.color) == [(1000, 36), (1000, 2000)]
    assert axes.get_ylim()[1] > 2000
    table = idle_tables.idle_clients_table(turns_of(), predicted=guess)
    assert table["predicted"].dropna().tolist() == [36, 2000]
    alt = idle_tables.idle_clients_alt(turns_of(), predicted=guess)
    assert "Predicted from first to last: 3 times for poll, 200 times for epoll" in alt


def test_others_turns_are_outlined_where_both_have_them_and_told():
    other = turns_of(0.2, counts=(100, 1000, 5000), ways=("poll",))
    axes = idle_clients(turns_of(), recorded=other)
    outlined = marks(axes, STYLES["poll"], "none", ROLES["recorded"].color)
    assert outlined == [(100, 50), (1000, 410)]
    alt = idle_tables.idle_clients_alt(turns_of(), recorded=other)
    assert "Outlined, as recorded: poll, compiled: 50, 410 at 100, 1,000" in alt


def test_the_words_have_the_numbers_of_each_line():
    alt = idle_tables.idle_clients_alt(turns_of(repeats=1))
    assert "of one run each" in alt
    assert "poll, compiled: 6, 15, 105 at 10, 100, 1,000" in alt
    assert "epoll, python: 10, 10, 10 at 10, 100, 1,000" in alt


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"way": "kqueue"}, {}, "way 'kqueue': the figure has select, poll, epoll"),
        ({"turn_us": 0.0}, {}, "must be above 0"),
        (
            {},
            {"predicted": {"poll": 0}},
            "predicted={'poll': 0}: give a number above 0",
        ),
        ({}, {"predicted": {"kqueue": 1}}, "for some of select, poll, epoll"),
    ],
)
def test_what_the_axes_cannot_hold_is_refused(change, options, told):
    with pytest.raises(ValueError, match=told):
        idle_clients(turns_of().assign(**change), **options)


def test_both_have_room_for_what_is_drawn_elsewhere():
    axes = idle_clients(turns_of(), room=turns_of(counts=(10, 100_000)))
    assert axes.get_xlim()[1] > 100_000
    assert axes.get_ylim()[1] > 10_000


@linux
@compiled
def test_it_is_drawn_of_what_was_found(found):
    stamp = figures.stamp(found.machine, engine="compiled")
    shown = show("idle_clients", found.tables["idle"], stamp=stamp)
    assert "medians of 2 runs" in shown.alt
    assert page.figure(found).stamp.startswith(found.machine["line"])
