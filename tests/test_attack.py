"""Study attack: three servers, clients that misbehave, a figure, and nothing left."""

import resource
import socket
from itertools import combinations

import pandas as pd
import pytest

from netlab.show import figures
from netlab.show.attack import PANELS, attack
from netlab.show.attack_tables import SERVERS, attack_alt, attack_table, worst
from netlab.study import attack as study
from netlab.study import attackers, claims_attack
from netlab.study.attack import SPANS
from netlab.study.besieged import SERVERS as BESIEGED
from netlab.study.partners import Partner
from tests.bounded import left_behind, linux, lives, until
from tests.test_central_figures import drawn_texts

OPTIONS = {"spans": [list(span) for span in SPANS]}


# --- what is measured


@pytest.fixture(scope="module")
def found():
    return study.attack(1, progress=False, servers=["reads on", "stage 6"])


@linux
def test_each_server_is_looked_at_through_the_whole_attack(found):
    table = found.tables["attack"]
    assert list(table["server"].unique()) == ["reads on", "stage 6"]
    for _, own in table.groupby("server"):
        assert list(own["at_ms"]) == list(range(0, study.END_MS, study.STEP_MS))
    first = table.query("at_ms == 0")
    assert (first["held"] == 1).all()  # the client that behaves
    assert table["held"].max() > study.DESCRIPTORS / 2
    assert table["held"].max() < study.DESCRIPTORS
    assert table["latency_ms"].notna().mean() > 0.5


@linux
def test_who_reads_on_grows_and_stage_6_does_not(found):
    added = claims_attack.added_mb(found.tables["attack"])
    asked_mb = attackers.HOARDERS * attackers.ASKED * attackers.SIZE / 1e6
    assert added["reads on"][0] > asked_mb / 4
    assert added["stage 6"][0] < asked_mb / 8


@linux
def test_nothing_of_it_is_left_and_this_process_keeps_its_limit():
    before, limit = left_behind(), resource.getrlimit(resource.RLIMIT_NOFILE)
    study.attack(1, progress=False, servers=["stage 5"])
    until(lambda: left_behind() == before)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limit


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"servers": ["stage 4"]}, "stage 4.*stage 5"), ({"repeats": 0}, "repeats=0")],
)
def test_what_cannot_be_attacked_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        study.attack(progress=False, **settings)


@linux
@pytest.mark.parametrize("name", attackers.ATTACKS)
def test_attackers_come_and_leave(name):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        attack = attackers.ATTACKS[name](listener.getsockname())
        attack.tick()
        attack.tick()
        attack.leave()
        assert all(client.fileno() == -1 for client in attack.clients)
        listener.setblocking(False)
        came = 0
        while came < attackers.CROWD:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                break
            came += 1
    expected = {
        "nobody": 0,
        "never read": attackers.HOARDERS,
        "one byte at a time": attackers.CROWD,
        "reset": 2 * attackers.VANISHING,
    }
    assert came == expected[name]


# --- its processes


@linux
@pytest.mark.parametrize("module", ["besieged", "attackers"])
def test_a_partner_ends_with_its_parent_s_socket(module):
    with Partner(f"netlab.study.{module}") as partner:
        pid = partner.pid
        partner._control.close()
        until(lambda: not lives(pid))


@linux
def test_a_partner_that_is_gone_is_quoted():
    with Partner("netlab.study.besieged") as partner:
        partner.tell({"server": "stage 4", "descriptors": 64})
        with pytest.raises(RuntimeError, match="stage 4"):
            partner.hear()
        with pytest.raises(RuntimeError, match="ended"):
            partner.tell({})


def test_the_figure_knows_every_server_that_is_attacked():
    assert SERVERS.keys() == BESIEGED.keys()


# --- its figure: made up, measured by nobody


def looks(servers=tuple(SERVERS), repeats=3, grown=150.0):
    rows = []
    for server in servers:
        for repeat in range(repeats):
            for at_ms in range(0, study.END_MS, study.STEP_MS):
                never, crowd, _ = (one.begin_ms < at_ms <= one.end_ms for one in SPANS)
                keeps = server == "reads on" and never
                spins = server == "stage 5" and crowd
                rows.append(
                    (server, repeat, at_ms, 57 if crowd else 9 if never else 1,
                     40 + (grown if keeps else 0) + repeat, 100 if spins else repeat,
                     float("nan") if keeps and at_ms < 300 else 0.3 + repeat)
                )  # fmt: skip
    columns = ["server", "repeat", "at_ms", "held", "memory_mb", "cpu_percent"]
    return pd.DataFrame(rows, columns=[*columns, "latency_ms"])


CASES = {
    "page": (looks(), OPTIONS | {"recorded": looks(grown=100)}),
    "guess": (looks(["reads on"], 1), OPTIONS | {"predicted": 90}),
    "one": (looks(repeats=1), OPTIONS | {"servers": ["stage 6"]}),
    "plain": (looks(["stage 5"], 1), {}),
    "large": (looks(grown=250_000), OPTIONS),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_runs_out_of_the_card_or_over_another(case):
    table, options = CASES[case]
    figure = attack(table, **options).figure
    drawn = list(drawn_texts(figure))
    for text, box in drawn:
        assert figure.bbox.fully_contains(box.x0, box.y0), text
        assert figure.bbox.fully_contains(box.x1, box.y1), text
    for (one, box), (other, beside) in combinations(drawn, 2):
        assert not box.padded(-1).overlaps(beside.padded(-1)), (one, other)


@pytest.mark.parametrize("case", CASES)
def test_the_figure_is_shown_with_its_words_and_table(case):
    table, options = CASES[case]
    given = table.copy()
    alt, rows = attack_alt(given, **options), attack_table(given, **options)
    shown = figures.show(attack(given, **options), stamp="s", alt=alt, table=rows)
    assert alt.endswith(".")
    assert "nan" not in alt
    assert len(shown.png) < 130_000
    pd.testing.assert_frame_equal(given, table)


def test_the_table_has_the_medians_and_what_was_added():
    table = attack_table(looks(grown=150))
    row = table.query("server == 'reads on' and at_ms == 500").iloc[0]
    assert row[["held", "added_mb", "cpu_percent", "latency_ms"]].tolist() == (
        [9, 150, 1, 1.3]
    )
    assert row["repeats"] == 3
    found = worst(table, "stage 5", SPANS[1].begin_ms + 50, SPANS[1].end_ms)
    assert (found.held, found.added_mb, found.cpu_percent) == (57, 0, 100)


def test_lines_are_those_of_the_table_in_every_panel():
    axes = attack(looks(["stage 5"]), **OPTIONS)
    table = attack_table(looks(["stage 5"]))
    for inset, panel in zip(axes.child_axes, PANELS, strict=True):
        assert inset.lines[0].get_ydata().tolist() == table[panel.column].tolist()


def test_the_headline_needs_both_servers_and_the_growth():
    assert "150 MB" in attack(looks()).get_title(loc="left")
    plain = "A server through an attack"
    assert attack(looks(["reads on"])).get_title(loc="left") == plain
    assert attack(looks(grown=1)).get_title(loc="left") == plain


def test_a_recording_is_outlined_and_told():
    alt = attack_alt(looks(), **OPTIONS, recorded=looks(grown=100))
    assert "Outlined, as recorded: stage 5: at most 0 MB more; reads on: at most" in alt
    memory = attack(looks(), recorded=looks(grown=100)).child_axes[1]
    hollow = [line for line in memory.lines if line.get_markerfacecolor() == "none"]
    assert 100 in [line.get_ydata()[0] for line in hollow]


def test_a_guess_is_a_line():
    memory = attack(looks(["reads on"]), predicted=90).child_axes[1]
    assert [90, 90] in [list(line.get_ydata()) for line in memory.lines]
    assert "Predicted were 90 MB more." in attack_alt(looks(), predicted=90)


def test_what_cannot_be_drawn_is_refused():
    for make in (attack, attack_alt, attack_table):
        with pytest.raises(ValueError, match="there are no attack: give the table"):
            make(looks().head(0))
        with pytest.raises(ValueError, match="lack the column held"):
            make(looks().drop(columns="held"))
        with pytest.raises(ValueError, match="server 'mine': there are stage 5"):
            make(looks().assign(server="mine"))
