"""The catalogue: the named studies, and the figures that draw what they find.

A row has a question, a function that answers it by runs and returns tables, the plots
for them by their names in `show.plots`, which this room does not know, and the claims
that are judged by them.
`python -m netlab reproduce NAME` joins the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from netlab.study import (
    claims_attack,
    claims_engines,
    claims_firsts,
    claims_idle,
    claims_lives,
    claims_pinning,
    claims_sharing,
    claims_waking,
    latency,
)
from netlab.study.accounts import switches
from netlab.study.attack import attack
from netlab.study.death import worker_death
from netlab.study.engines import engines
from netlab.study.equilibrium import equilibrium
from netlab.study.firsts import head_of_line
from netlab.study.found import Found
from netlab.study.handing_over import handing_over
from netlab.study.herd import herd
from netlab.study.idle import idle_clients
from netlab.study.lives import one_life
from netlab.study.matrix import IDEALS, matrix
from netlab.study.orders import CONNECTIONS, COVERAGE, WORKERS, chance, order
from netlab.study.pinned import pinning
from netlab.study.sharing import burst, choice, rotate, slow_worker
from netlab.study.stats import binomial_band
from netlab.study.steered import steering
from netlab.study.truths import two_truths
from netlab.study.turns import turns
from netlab.study.verdicts import Verdict
from netlab.study.xrayed import xray


def _no_options(_: Found) -> dict[str, Any]:
    return {}


class Drawing(NamedTuple):
    """A plot's name, the table it draws, and its options, made from what was found."""

    plot: str
    table: str
    options: Callable[[Found], dict[str, Any]] = _no_options


class Study(NamedTuple):
    """One row of the catalogue; claims: judges what was found, claim by claim."""

    name: str
    question: str
    run: Callable[..., Found]
    drawings: tuple[Drawing, ...]
    claims: Callable[[Found], Iterable[Verdict]]
    about_s: int  # how long it takes on two CPUs, in seconds, figures included

    def verdicts(self, found: Found) -> list[Verdict]:
        """Return what became of the study's claims."""
        return list(self.claims(found))


def _band(_: Found) -> dict[str, Any]:
    return {"band": binomial_band(CONNECTIONS, 1 / WORKERS, COVERAGE)}


def _chance(found: Found) -> dict[str, Any]:
    return {"chance": chance(found.settings["connections"])}


def _threads(found: Found) -> dict[str, Any]:
    return {"threads": found.tables["threads"]}


def _inset(found: Found) -> dict[str, Any]:
    return {"xray": found.tables["xray"]} if "xray" in found.tables else {}


def _capacity(found: Found) -> dict[str, Any]:
    return {"capacity_per_s": 1e6 / found.settings["spin_us"]}


def _spans(found: Found) -> dict[str, Any]:
    return {"spans": found.settings["spans"]}


def _slower(found: Found) -> dict[str, Any]:
    return {"slower": found.settings["slower"]}


def _work(found: Found) -> dict[str, Any]:
    return {"work_ms": found.settings["work_ms"]}


STUDIES = (
    Study(
        "head-of-line",
        "Who waits for whom, served one at a time and by one loop?",
        head_of_line,
        (Drawing("head_of_line", "waits"),),
        claims_firsts.head_of_line,
        15,
    ),
    Study(
        "turns",
        "What does one loop do at each of its turns?",
        turns,
        (Drawing("turns", "turns"),),
        claims_firsts.turns,
        5,
    ),
    Study(
        "pinning",
        "Where do workers run, left free and bound to a CPU each?",
        pinning,
        (Drawing("pinning", "pinning", _threads),),
        claims_pinning.pinning,
        15,
    ),
    Study(
        "herd",
        "What does one connection cost, the more workers wait for it?",
        herd,
        (
            Drawing("herd", "herd", _inset),
            Drawing("herd_cost", "herd"),
            Drawing("herd_under_load", "load"),
        ),
        claims_waking.herd,
        240,
    ),
    Study(
        "order",
        "Who gets the next connection, and does the wait queue say so before?",
        order,
        (
            Drawing("orders", "orders", _band),
            Drawing("settling", "orders", _chance),
        ),
        claims_waking.order,
        60,
    ),
    Study(
        "rotate",
        "What does it change to register anew every so many accepts?",
        rotate,
        (Drawing("rotate", "rotate"),),
        claims_waking.rotate,
        5,
    ),
    Study(
        "slow-worker",
        "Which share does a worker get that is five times slower?",
        slow_worker,
        (Drawing("slow_worker", "slow_worker"),),
        claims_sharing.slow_worker,
        20,
    ),
    Study(
        "burst",
        "Who has the connections of an idle burst?",
        burst,
        (Drawing("burst", "burst"),),
        claims_sharing.burst,
        20,
    ),
    Study(
        "equilibrium",
        "Does the load find its balance by itself, and on which load?",
        equilibrium,
        (
            Drawing("equilibrium", "equilibrium", _slower),
            Drawing("afterwards", "afterwards", _work),
        ),
        claims_sharing.equilibrium,
        40,
    ),
    Study(
        "handing-over",
        "What does it gain to hand connections over, and what does it cost?",
        handing_over,
        (Drawing("handing_over", "handing_over"),),
        claims_sharing.handing_over,
        60,
    ),
    Study(
        "choice",
        "Is there a strategy that wins both?",
        choice,
        (Drawing("choice", "choice"),),
        claims_sharing.choice,
        40,
    ),
    Study(
        "latency-tail",
        "What does a hash do to the latencies, against one queue for all?",
        latency.latency_tail,
        (
            Drawing(
                "latency_tail",
                "latency_tail",
                lambda _: {"published": latency.published()},
            ),
        ),
        claims_sharing.latency_tail,
        30,
    ),
    Study(
        "worker-death",
        "What becomes of the clients in the queue of a worker that dies?",
        worker_death,
        (Drawing("worker_death", "worker_death"),),
        claims_sharing.worker_death,
        10,
    ),
    Study(
        "steering",
        "Does a connection follow the CPU of its packets?",
        steering,
        (Drawing("steering", "steering"),),
        claims_waking.steering,
        5,
    ),
    Study(
        "two-truths",
        "What does a closed loop leave out, and an open one above the capacity add?",
        two_truths,
        (
            Drawing("two_truths", "truths"),
            Drawing("rate_curve", "rates", _capacity),
        ),
        claims_sharing.two_truths,
        80,
    ),
    Study(
        "matrix",
        "How does every strategy do by every measure?",
        matrix,
        (Drawing("matrix", "matrix", lambda _: {"ideals": IDEALS}),),
        claims_waking.matrix,
        120,
    ),
    Study(
        "engines",
        "What is the interpreter in the way of: the second CPU, or the count?",
        engines,
        (
            Drawing("engines", "engines"),
            Drawing("engine_lines", "engines"),
        ),
        claims_engines.engines,
        180,
    ),
    Study(
        "xray",
        "What does the kernel do with one connection, in microseconds?",
        xray,
        (Drawing("xray", "xray"), Drawing("xray", "xray_exclusive")),
        claims_waking.xray,
        10,
    ),
    Study(
        "one-life",
        "Where is a worker's thread: asleep, waiting for its CPU, or running?",
        one_life,
        (Drawing("one_life", "life"),),
        claims_lives.one_life,
        10,
    ),
    Study(
        "switches",
        "What does the kernel's account say of a thread that sleeps, works, shares?",
        switches,
        (Drawing("switches", "switches"),),
        claims_lives.switches,
        15,
    ),
    Study(
        "idle-clients",
        "What does a turn cost, the more descriptors are idle?",
        idle_clients,
        (Drawing("idle_clients", "idle"),),
        claims_idle.idle_clients,
        20,
    ),
    Study(
        "attack",
        "What does a server hold, and how does it do, while clients misbehave?",
        attack,
        (Drawing("attack", "attack", _spans),),
        claims_attack.attack,
        30,
    ),
)


def find(name: str) -> Study:
    """Return the study called `name`; raises ValueError that lists the names."""
    for study in STUDIES:
        if study.name == name:
            return study
    raise ValueError(f"study {name!r}: there are {', '.join(s.name for s in STUDIES)}")
