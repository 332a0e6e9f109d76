"""Where workers run, free and bound: the study, its claims and its figure."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from netlab import counters, exhibits
from netlab.kernel import machine
from netlab.show import pinning as figure
from netlab.show import pinning_tables as told
from netlab.study import catalogue, claims_pinning, recordings
from netlab.study.pinned import pinning, require_books
from tests.bounded import left_behind, linux, until
from tests.test_study_figures import clashes, labels

several = pytest.mark.skipif(
    len(machine.cpus_allowed()) < 2, reason="there is one CPU here"
)
SHORT = {"repeats": 1, "fired_s": 0.3, "progress": False}


# --- the study


@linux
@several
def test_bound_workers_stay_on_their_cpu_and_the_books_are_even():
    before = left_behind()
    found = pinning(**SHORT)
    cpus = machine.cpus_allowed()
    looks = found.tables["pinning"].query("bound")
    assert (looks["cpu"] == looks["worker_cpu"]).all()
    own = looks.drop_duplicates("worker").set_index("worker")["worker_cpu"]
    assert own.to_dict() == {number: cpus[number % len(cpus)] for number in range(4)}
    assert (found.tables["pinning"]["looks"] > 0).all()
    counted = found.tables["workers"]
    assert (counted["accepts"] == counted["closed"]).all()
    assert (counted["turns"] > 0).all()
    until(lambda: left_behind() == before)


@linux
@several
def test_the_process_list_has_the_main_thread_and_the_workers_of_both_kinds():
    threads = pinning(**SHORT, workers=3).tables["threads"]
    for bound in (False, True):
        names = threads[threads["bound"] == bound]["comm"].tolist()
        assert names[1:] == ["netlab-w0", "netlab-w1", "netlab-w2"]
    assert threads["pid"].nunique() == 1


@linux
@several
@pytest.mark.skipif(not machine.gil_on(), reason="nobody waits for a GIL")
def test_two_workers_at_once_sleep_more_often_than_in_turn_with_the_same_turns():
    waits = pinning(**SHORT).tables["gil"].set_index("together")
    assert waits["requests"].tolist() == waits["turns"].tolist() == [20, 20]
    assert waits["wakeups"][True] > 2 * waits["wakeups"][False]


@linux
@several
def test_a_reader_s_own_server_is_watched_and_its_slip_is_seen():
    server = exhibits.find("wrong-pinning").make().func
    looks = pinning(**SHORT, server=server, workers=2).tables["pinning"]
    assert set(looks.query("bound")["cpu"]) == {machine.cpus_allowed()[0]}


def test_books_that_are_not_even_are_an_error():
    rows = counters.new_rows(2).copy()
    rows["accepted"] = rows["closed"] = 3
    require_books(rows, 6)
    with pytest.raises(RuntimeError, match=r"opened 7 connections, .* accepted 6 and"):
        require_books(rows, 7)
    rows["closed"][0] = 2
    with pytest.raises(RuntimeError, match="closed 5"):
        require_books(rows, 6)


@pytest.mark.parametrize("workers", [1, 65, 2.5])
def test_so_many_workers_are_refused(workers):
    with pytest.raises(ValueError, match=re.escape(f"workers={workers}")):
        pinning(**SHORT, workers=workers)


# --- the claims


def test_a_free_worker_s_share_is_that_of_its_own_cpu():
    looks = looks_of(free=[(30, 10), (0, 40)], cpus=2)
    percent = claims_pinning.at_home(looks.query("not bound"))["percent"]
    assert percent.tolist() == [75, 100]


def test_a_free_worker_that_stays_contradicts_its_claim():
    found = recordings.load("pinning")
    looks = found.tables["pinning"].assign(cpu=lambda rows: rows["worker_cpu"])
    stays = replace(found, tables=found.tables | {"pinning": looks})
    values = [one.value for one in catalogue.find("pinning").verdicts(stays)]
    assert values == ["confirmed", "contradicted", "confirmed"]


def test_without_a_gil_the_claim_about_it_decides_nothing():
    found = recordings.load("pinning")
    none = found.tables["gil"].head(0)
    without = replace(found, tables=found.tables | {"gil": none})
    values = [one.value for one in catalogue.find("pinning").verdicts(without)]
    assert values == ["confirmed", "confirmed", "inconclusive"]


# --- the figure, of made-up numbers


def looks_of(free, cpus):
    """Looks of one run: of the free workers as given, the bound ones on their own."""
    rows = [
        (0, False, worker, worker % cpus, cpu, count)
        for worker, counts in enumerate(free)
        for cpu, count in enumerate(counts)
        if count
    ]
    rows += [(0, True, n, n % cpus, n % cpus, 50) for n in range(len(free))]
    columns = ["repeat", "bound", "worker", "worker_cpu", "cpu", "looks"]
    return pd.DataFrame(rows, columns=columns)


def threads_of(workers):
    names = ["python", *(f"netlab-w{number}" for number in range(workers))]
    return pd.DataFrame(
        [
            (0, bound, 4_194_303, 4_194_303 - at, at % 2, 12.5, name)
            for bound in (False, True)
            for at, name in enumerate(names)
        ],
        columns=["repeat", "bound", "pid", "tid", "psr", "pcpu", "comm"],
    )


FOUR = looks_of([(30, 20), (5, 45), (50, 0), (25, 25)], cpus=2)
SIZES = {
    "page": (FOUR, threads_of(4)),
    "without a list": (FOUR, None),
    "one CPU": (looks_of([(40,), (40,)], cpus=1), threads_of(2)),
    "many": (looks_of([(1,) * 64] * 32, cpus=64), threads_of(32)),
}
size = pytest.mark.parametrize("size", SIZES)


@size
def test_no_text_runs_out_of_the_card_or_into_another(size):
    looks, threads = SIZES[size]
    axes = figure.pinning(looks, threads=threads)
    assert clashes(axes) == []
    assert axes.figure.get_size_inches()[1] <= 9


def test_a_cell_has_the_percent_of_the_worker_s_looks():
    written = labels(figure.pinning(FOUR))
    assert [one for one in written if one.isdigit()] == [
        *("60", "40", "10", "90", "100", "50", "50"), *["100"] * 4,
    ]  # fmt: skip
    assert written.count("–") == 1 + 4


def test_a_frame_is_around_the_cpu_that_a_worker_was_bound_to():
    frames = figure.pinning(FOUR).patches
    assert [frame.get_x() + 0.5 for frame in frames] == [0, 1, 0, 1]
    unbound = FOUR.assign(worker_cpu=-1)
    assert len(figure.pinning(unbound).patches) == 0


def test_of_several_repeats_the_first_is_drawn():
    again = FOUR.assign(repeat=1, cpu=0)
    both = pd.concat([FOUR, again])
    assert labels(figure.pinning(both)) == labels(figure.pinning(FOUR))


def test_the_words_and_the_table_have_the_list_s_psr_beside_what_was_seen():
    words = told.pinning_alt(FOUR, threads_of(4))
    assert "Left free: worker 0 (psr 1) on CPU 0 60 %, CPU 1 40 %; worker 1" in words
    assert "Bound: worker 0 (psr 1) on CPU 0 100 %;" in words
    table = told.pinning_table(FOUR, threads_of(4))
    assert table["comm"].tolist() == [f"netlab-w{n}" for n in range(4)] * 2
    assert table["on CPU 1 (%)"].tolist() == [40, 90, 0, 50, 0, 100, 0, 100]
    assert "psr" not in told.pinning_table(FOUR)


def test_of_many_workers_the_range_is_told():
    words = told.pinning_alt(SIZES["many"][0])
    assert "Left free: 32 workers, on the CPU of their number in 2 to 2 %" in words


def test_threads_of_another_server_and_empty_tables_are_refused():
    with pytest.raises(ValueError, match="3 threads beside 4 workers"):
        figure.pinning(FOUR, threads=threads_of(3))
    for make in (figure.pinning, told.pinning_table, told.pinning_alt):
        with pytest.raises(ValueError, match="no looks: give the table of study pin"):
            make(FOUR.head(0))
