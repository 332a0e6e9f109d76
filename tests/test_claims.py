"""Each study's claims: the recordings keep them, and altered ones do not."""

from dataclasses import replace

import pandas as pd
import pytest

from netlab.study import catalogue, recordings
from netlab.study.cases import FEW, all_kept, by_chance, each, ratio, repeats_of
from netlab.study.verdicts import NARROWER, UNMEASURED

RECORDED = recordings.names()


def judged(name, change=None):
    """The values of a recorded study's verdicts, by claim, after a change of tables."""
    found = recordings.load(name)
    if change:
        tables = {key: table.copy() for key, table in found.tables.items()}
        change(tables)
        found = replace(found, tables=tables)
    verdicts = catalogue.find(name).verdicts(found)
    values = {verdict.claim: verdict.value for verdict in verdicts}
    assert len(values) == len(verdicts), "two claims of one text"
    return values


def exchanged(key, one, other):
    """A change that gives two strategies each other's rows."""

    def change(tables):
        names = {one: other, other: one}
        tables[key]["strategy"] = tables[key]["strategy"].replace(names)

    return change


def swapped_cases(one, other):
    """A change that gives two cases of `switches` each other's rows."""

    def change(tables):
        names = {one: other, other: one}
        tables["switches"]["case"] = tables["switches"]["case"].replace(names)

    return change


def scaled(key, column, factor, where):
    """A change that multiplies a column of some rows."""

    def change(tables):
        rows = tables[key].eval(where)
        table = tables[key].astype({column: float})
        table.loc[rows, column] *= factor
        tables[key] = table

    return change


def set_to(key, column, value, where):
    """A change that sets a column of some rows."""

    def change(tables):
        tables[key].loc[tables[key].eval(where), column] = value

    return change


def random_workers(key, where="index >= 0"):
    """A change that gives connections to the workers at random."""

    def change(tables):
        rows = tables[key].eval(where)
        drawn = tables[key].loc[rows, "worker"].sample(frac=1, random_state=1)
        tables[key].loc[rows, "worker"] = drawn.to_numpy()

    return change


def at_home(tables):
    """A change that sees every free worker on the CPU of its number alone."""
    looks = tables["pinning"]
    looks.loc[~looks["bound"], "cpu"] = looks["worker_cpu"]


ONE_WOKEN = "Under exclusive a connection wakes one worker."
LOCKED = "run_by in ['GIL threads', 'free threads, GIL on']"
ALTERED = [
    (
        "engines",
        scaled("engines", "requests_per_s", 4, f"workers == 2 and {LOCKED}"),
        ("Under the GIL a second worker adds nothing to work in the interpreter.",),
    ),
    (
        "engines",
        scaled("engines", "requests_per_s", 0.3, f"workers == 2 and not {LOCKED}"),
        ("Processes, compiled threads and threads without a GIL use a second CPU.",),
    ),
    (
        "engines",
        scaled("engines", "wakeups_per_accept", 2, f"not {LOCKED}"),
        ("Without a common lock a connection wakes each worker once.",),
    ),
    (
        "engines",
        scaled("engines", "wakeups_per_accept", 0.2, LOCKED),
        ("Under the GIL it wakes them more often than there are workers.",),
    ),
    (
        *("attack", set_to("attack", "memory_mb", 40.0, "server == 'reads on'")),
        ("Who keeps all and reads on grows with what is asked.",),
    ),
    (
        *("attack", scaled("attack", "memory_mb", 3, "held > 1")),
        ("Who stops listening to a client that does not read stays as it is.",),
    ),
    (
        *("attack", scaled("attack", "cpu_percent", 0.1, "server == 'stage 5'")),
        ("Out of descriptors, stage 5 is busy all the time.",),
    ),
    (
        *("attack", set_to("attack", "cpu_percent", 90.0, "server == 'stage 6'")),
        ("Out of descriptors, stage 6 rests.",),
    ),
    (
        *("attack", set_to("attack", "held", 3, "at_ms == at_ms.max()")),
        ("When the attackers are gone, no connection of theirs is left.",),
    ),
    (
        "head-of-line",
        scaled("waits", "answered_ms", 2, "server == 'one at a time'"),
        (
            "One at a time, a client waits for all that those before it do.",
            "One loop does work no sooner.",
        ),
    ),
    (
        "head-of-line",
        scaled(
            "waits", "answered_ms", 1000, "server == 'one loop' and scene == 'stay'"
        ),
        ("In one loop nobody waits for a silent client.",),
    ),
    (
        "turns",
        set_to("turns", "who", "A", "index >= 0"),
        (
            "While half of a request is here, the loop answers others.",
            "When several are ready, one turn sees to all of them.",
        ),
    ),
    (
        *("pinning", scaled("gil", "wakeups", 0.1, "together")),
        ("Interpreted workers that work at once are woken more often than in turn.",),
    ),
    (
        *("pinning", set_to("pinning", "cpu", 0, "bound")),
        ("A bound worker runs on its own CPU alone.",),
    ),
    (
        *("pinning", set_to("pinning", "worker_cpu", 9, "bound")),
        ("A bound worker runs on its own CPU alone.",),
    ),
    (
        *("pinning", at_home),
        ("A worker that is left free does not stay on the CPU of its number.",),
    ),
    (
        *("herd", exchanged("herd", "level", "exclusive")),
        ("Under level a connection wakes all workers.", ONE_WOKEN),
    ),
    (
        *("herd", scaled("herd", "wakeups_per_accept", 0.9, "workers == 64")),
        ("Under level a connection wakes all workers.",),
    ),
    (
        *("herd", scaled("herd", "turns_per_accept", 8, "workers == 8")),
        ("The program sees little of the herd under level.",),
    ),
    (
        "order",
        set_to("classes", "kept_percent", 40.0, "strategy == 'exclusive'"),
        ("The rule 'stays' says who is next.",),
    ),
    (
        "order",
        set_to("classes", "shares", "100/100/100/100", "rule == 'head, twice'"),
        ("The rule 'head, twice' leaves most connections to two workers.",),
    ),
    (
        "order",
        set_to("classes", "shares", "64/136/100/100", "strategy == 'reuseport'"),
        ("A hash gives each worker an equal chance.",),
    ),
    (
        "rotate",
        random_workers("rotate", "every == '16'"),
        ("Exclusive waiters that register anew every k accepts have k each in turn.",),
    ),
    (
        "rotate",
        set_to("rotate", "worker", 1, "every == 'never'"),
        ("If they never register anew, the first has all.",),
    ),
    (
        "slow-worker",
        exchanged("slow_worker", "level", "reuseport"),
        (
            "A shared queue, or an acceptor that counts, gives a slow worker less.",
            "A hash or taking turns gives a slow worker as much as a fast one.",
        ),
    ),
    (
        "equilibrium",
        exchanged("phases", "level", "reuseport"),
        (
            "From a shared queue a worker takes less as soon as it is slow.",
            "By hash a worker gets as much while it is slow as before.",
        ),
    ),
    (
        "equilibrium",
        exchanged("afterwards", "exclusive", "reuseport"),
        ("An idle burst on one worker is answered later than one that is spread.",),
    ),
    (
        "handing-over",
        exchanged("handing_over", "handoff-round-robin", "exclusive"),
        (
            "An acceptor that deals in turn or counts spreads an idle burst evenly.",
            "A lone client waits longer if its connection is handed over.",
            "While others may accept, a stall holds up hardly anybody.",
            "A stall of the only acceptor holds up others.",
        ),
    ),
    (
        "burst",
        exchanged("burst", "exclusive", "reuseport"),
        (
            "Under exclusive one worker has most of an idle burst.",
            "A hash spreads an idle burst.",
        ),
    ),
    (
        "burst",
        exchanged("burst", "handoff-least", "exclusive"),
        (
            "Under exclusive one worker has most of an idle burst.",
            "An acceptor that counts spreads an idle burst evenly.",
        ),
    ),
    (
        "choice",
        scaled("choice", "top_share_percent", 0.5, "strategy == 'level'"),
        ("Every shared queue lets one worker have half of an idle burst.",),
    ),
    (
        "choice",
        exchanged("choice", "reuseport", "handoff-least"),
        (
            "A hash gives a slow worker as much as a fast one.",
            "An acceptor that counts spreads an idle burst evenly.",
            "An acceptor that counts gives a slow worker less.",
        ),
    ),
    (
        "latency-tail",
        exchanged("summary", "exclusive", "reuseport"),
        ("A hash spreads the latencies.", "The median is lower under a hash."),
    ),
    (
        "latency-tail",
        scaled("summary", "avg_ms", 2, "strategy == 'reuseport'"),
        ("The average is the same under a hash and a shared queue.",),
    ),
    (
        "worker-death",
        set_to("worker_death", "migrate", False, "repeat >= 0"),
        ("Without migration the clients in the closed queue are reset: about half.",),
    ),
    (
        "worker-death",
        set_to("worker_death", "reset", 1, "migrate and repeat == 3"),
        ("With migration nobody is reset.",),
    ),
    (
        "steering",
        exchanged("steering", "reuseport", "reuseport-cpu"),
        (
            "A connection that is steered goes to the worker on its client's CPU.",
            "A hash knows no CPU: each worker has an equal chance.",
        ),
    ),
    (
        "matrix",
        exchanged("runs", "level", "exclusive"),
        (
            "Where all wait alike, a connection wakes all.",
            "Where they wait in a queue, or one listener is chosen, it wakes one.",
        ),
    ),
    (
        "xray",
        exchanged("traces", "level", "exclusive"),
        (
            "Under level the kernel wakes all workers for one connection.",
            "Under exclusive it wakes one worker for it.",
        ),
    ),
    (
        "idle-clients",
        scaled("idle", "turn_us", 0.01, "idle == 1000 and way != 'epoll'"),
        (
            "Among a thousand idle descriptors select's turn costs much more.",
            "Among a thousand idle descriptors poll's turn costs much more.",
        ),
    ),
    (
        "idle-clients",
        scaled("idle", "turn_us", 50, "idle > 9999 and way == 'epoll'"),
        ("Among the most of them epoll's turn costs the same.",),
    ),
    (
        "idle-clients",
        scaled("idle", "turn_us", 50, "way != 'epoll'"),
        (
            "Among ten idle descriptors select is not slow.",
            "Among ten idle descriptors poll is not slow.",
        ),
    ),
    (
        "idle-clients",
        scaled("busy", "turn_us", 0.1, "way in ['epoll', 'anew']"),
        (
            "Where something happens at every descriptor, epoll saves little.",
            "Told of each of them anew, it costs more than poll.",
        ),
    ),
    (
        *("one-life", scaled("traces", "voluntary", 2, "company == 'alone'")),
        ("A request wakes its worker once.",),
    ),
    (
        *("one-life", scaled("traces", "involuntary", 0, "index >= 0")),
        ("Beside a spinner the CPU is taken from it in each request.",),
    ),
    (
        *("switches", scaled("switches", "voluntary", 2, "requests > 0")),
        ("A request wakes its worker once.",),
    ),
    (
        "switches",
        set_to("switches", "ran_ms", 90.0, "case == 'asleep'"),
        ("A sleeping worker uses no CPU time.",),
    ),
    (
        *("switches", scaled("switches", "lasted_ms", 1.3, "case != 'asleep'")),
        ("Who works does not sleep: it runs, or waits for a CPU.",),
    ),
    (
        "switches",
        swapped_cases("works, spinner on another CPU", "works, spinner on its CPU"),
        (
            "Of two that work on one CPU, each waits half of the time.",
            "Moved to a CPU of its own, it hardly waits.",
        ),
    ),
    (
        *("switches", scaled("switches", "involuntary", 0, "index >= 0")),
        ("Who shares its CPU loses it again and again.",),
    ),
]


@pytest.mark.parametrize("name", RECORDED)
def test_every_claim_is_confirmed_by_the_recordings(name):
    values = judged(name)
    assert values
    assert set(values.values()) == {"confirmed"}, values


@pytest.mark.parametrize(("name", "change", "claims"), ALTERED)
def test_altered_tables_contradict_the_claims_that_are_about_them(name, change, claims):
    values = judged(name, change)
    contradicted = {claim for claim in values if values[claim] == "contradicted"}
    assert contradicted == set(claims)


def test_every_recorded_claim_can_be_contradicted():
    able = {(name, claim) for name, _, claims in ALTERED for claim in claims}
    of_rules = {
        ("order", f"The rule '{rule}' says who is next.")  # as that of 'stays'
        for rule in ("a lock", "one acceptor", "steered", "to the head", "to the tail")
    }
    others = [name for name in RECORDED if name != "two-truths"]  # is made up below
    claimed = {(name, claim) for name in others for claim in judged(name)}
    assert claimed == able | of_rules


def truths(open_ms, closed_ms, long_ms, short_ms):
    """What a study two-truths with such tails would have found."""
    tails = [("closed", "sending", closed_ms), ("open", "due", open_ms)]
    rates = [("open", 1.0, long_ms), ("open", 0.5, short_ms), ("closed", 0.5, 99.0)]
    truths = pd.DataFrame(tails, columns=["plan", "counted_from", "latency_ms"])
    table = pd.DataFrame(rates, columns=["plan", "fired_s", "p99_ms"])
    tables = {
        "truths": pd.concat([truths.assign(percentile=99.0)] * 3),
        "rates": pd.concat([table.assign(rate_per_s=3600.0)] * 3),
    }
    return replace(recordings.load("burst"), tables=tables, settings={"spin_us": 400})


def test_two_loops_and_a_load_of_twice_the_length_differ_by_their_factors():
    judge = catalogue.find("two-truths").verdicts
    values = [one.value for one in judge(truths(50, 0.1, 300, 160))]
    assert values == ["confirmed", "confirmed"]
    values = [one.value for one in judge(truths(0.5, 0.1, 170, 160))]
    assert values == ["contradicted", "contradicted"]


ONE_RUN_IS_ENOUGH = {"order", "rotate", "worker-death", "steering"}


@pytest.mark.parametrize("name", sorted(set(RECORDED) - ONE_RUN_IS_ENOUGH))
def test_one_repeat_decides_nothing_that_is_a_mean(name):
    def first_only(tables):
        for key, table in tables.items():
            if "repeat" in table:
                tables[key] = table[table["repeat"] == 0]

    values = judged(name, first_only)
    assert set(values.values()) == {"inconclusive"}


def test_what_cannot_run_here_decides_nothing():
    def without(tables):
        table = tables["worker_death"]
        tables["worker_death"] = table[~table["migrate"]]

    values = judged("worker-death", without)
    assert list(values.values()) == ["confirmed", "inconclusive"]


# --- several cases


def test_the_weakest_case_decides_and_is_named():
    good, doubtful, bad = [1, 2, 1], [1, 9, 1], [8, 9, 8]
    verdict = each("c", {"good": good, "better": [1, 1, 1]}, high=4)
    assert verdict.value == "confirmed"
    assert verdict.measured.endswith("(good, the weakest of 2)")
    verdict = each("c", {"good": good, "doubtful": doubtful}, high=4)
    assert (verdict.value, verdict.next_step) == ("inconclusive", NARROWER)
    verdict = each("c", {"doubtful": doubtful, "bad": bad, "good": good}, high=4)
    assert verdict.value == "contradicted"
    assert verdict.measured.endswith("(bad, the weakest of 3)")


def test_few_repeats_or_none_are_undecided_and_say_why():
    assert each("c", {"a": [9, 9]}, high=4).next_step == FEW
    assert each("c", {"a": [9, 9, 9], "b": [1]}, high=4).value == "inconclusive"
    assert ratio("c", [9, 9], [1, 1, 1], high=4).next_step == FEW
    for verdict in (each("c", {}, high=4), ratio("c", [], [1, 1, 1], high=4)):
        assert (verdict.value, verdict.measured) == ("inconclusive", "nothing")
        assert verdict.next_step == UNMEASURED
    assert all_kept("c", {}).value == by_chance("c", {}).value == "inconclusive"


def test_counts_by_chance_lie_in_their_band():
    assert by_chance("c", {"a": [52, 48], "b": [40, 60]}).value == "confirmed"
    verdict = by_chance("c", {"a": [52, 48], "b": [90, 10]})
    assert verdict.value == "contradicted"
    assert verdict.measured == "2 of 2 counts outside 31 to 69 (b, the weakest of 2)"


def test_a_prediction_is_kept_by_each_case():
    assert all_kept("c", {"a": [100, 99], "b": [96]}).measured.startswith("96 %")
    assert all_kept("c", {"a": [100, 99], "b": [12]}).value == "contradicted"
    assert all_kept("c", {"a": [100, 12], "b": [99]}).value == "inconclusive"
    assert all_kept("c", {"a": [None], "b": [99]}).value == "inconclusive"


def test_repeats_are_told_apart_by_case():
    table = pd.DataFrame({"workers": [4, 8, 4], "count": [1, 2, 3]})
    found = repeats_of(table, "count", "workers", "{} workers")
    assert found == {"4 workers": [1, 3], "8 workers": [2]}
