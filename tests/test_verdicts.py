"""Verdicts: three values, and what to do about the third."""

import html.parser
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.study.verdicts import (
    MARKS,
    NARROWER,
    THROTTLED,
    UNSETTLED,
    Verdict,
    at_least,
    at_most,
    kept,
    within,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)
numbers = st.floats(-1e6, 1e6)
intervals = st.tuples(numbers, numbers).map(sorted).map(tuple)
CLAIMS = {
    "at least 16": lambda interval, **runs: at_least("c", interval, 16, **runs),
    "at most 16": lambda interval, **runs: at_most("c", interval, 16, **runs),
    "from 15 to 18": lambda interval, **runs: within("c", interval, 15, 18, **runs),
}


@pytest.mark.parametrize(
    ("claim", "confirmed", "contradicted", "inconclusive"),
    [
        ("at least 16", [(16, 16), (16, 20)], [(1, 15.9), (3, 3)], [(15.9, 16)]),
        ("at most 16", [(16, 16), (2, 16)], [(16.1, 20), (17, 17)], [(16, 16.1)]),
        (
            "from 15 to 18",
            [(15, 18), (16, 17), (15, 15)],
            [(1, 14.9), (18.1, 20)],
            [(14.9, 15), (18, 19), (1, 30)],
        ),
    ],
)
def test_the_whole_interval_decides(claim, confirmed, contradicted, inconclusive):
    found = {"confirmed": confirmed, "contradicted": contradicted}
    for value, spans in (found | {"inconclusive": inconclusive}).items():
        for span in spans:
            verdict = CLAIMS[claim](span)
            assert (verdict.value, span) == (value, span)
            assert verdict.threshold == claim
            assert verdict.next_step == (NARROWER if value == "inconclusive" else "")


@quick
@given(intervals, numbers)
def test_at_least_and_at_most_agree_only_on_the_threshold_itself(interval, threshold):
    values = {at_least("c", interval, threshold).value}
    values |= {at_most("c", interval, threshold).value}
    if interval == (threshold, threshold):
        assert values == {"confirmed"}
    else:
        assert values != {"confirmed"}
        assert values != {"contradicted"}


@quick
@given(intervals, intervals)
def test_within_is_at_least_and_at_most(interval, asked):
    both = {at_least("c", interval, asked[0]).value}
    both |= {at_most("c", interval, asked[1]).value}
    value = within("c", interval, *asked).value
    assert (value == "confirmed") == (both == {"confirmed"})
    assert (value == "contradicted") == ("contradicted" in both)


@pytest.mark.parametrize("claim", list(CLAIMS))
@pytest.mark.parametrize("span", [(16, 16), (1, 2), (30, 40), (1, 40)])
def test_runs_that_were_disturbed_decide_nothing(claim, span):
    for runs, steps in (
        ({"throttled": True}, [THROTTLED]),
        ({"settled": False}, [UNSETTLED]),
        ({"throttled": True, "settled": False}, [THROTTLED, UNSETTLED]),
    ):
        verdict = CLAIMS[claim](span, **runs)
        assert verdict.value == "inconclusive"
        assert verdict.next_step == "; ".join(steps)


@pytest.mark.parametrize(
    ("percent", "value", "measured"),
    [
        (95, "confirmed", "95 %"),
        (94.99, "contradicted", "94.99 %"),
        ([100, 99.5], "confirmed", "99.5 to 100 %"),
        ([12, 0], "contradicted", "0 to 12 %"),
        ([100, 94], "inconclusive", "94 to 100 %"),
        (None, "inconclusive", "no prediction in 1 of 1 runs"),
        ([99, None], "inconclusive", "no prediction in 1 of 2 runs"),
        ([math.nan, None, 99], "inconclusive", "no prediction in 2 of 3 runs"),
        ([], "inconclusive", "no prediction in 0 of 0 runs"),
    ],
    ids=str,
)
def test_predictions(percent, value, measured):
    verdict = kept("round robin", percent, 95)
    assert (verdict.value, verdict.measured) == (value, measured)
    assert bool(verdict.next_step) == (value == "inconclusive")
    assert kept("round robin", percent, 95, settled=False).value == "inconclusive"


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: at_least("c", (2, 1), 1), "interval=(2, 1)"),
        (lambda: at_most("c", (math.nan, math.nan), 1), "interval=(nan, nan)"),
        (lambda: within("c", (1, 2), 4, 3), "low=4, high=3"),
        (lambda: kept("c", 0.97 * 200, 95), "194.0 percent"),
        (lambda: kept("c", 99, math.nan), "nan percent"),
        (lambda: kept("c", 99, -1), "-1 percent"),
    ],
)
def test_what_is_no_interval_is_refused(ask, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        ask()


# --- how it reads


def test_it_reads_as_text():
    claim = "a slow worker gets its share"
    assert repr(at_most(claim, (19.123456, 20.4), 25, unit="%")) == (
        "✓ confirmed: a slow worker gets its share\n"
        "  measured 19.12 to 20.4 %, claimed at most 25 %"
    )
    assert repr(at_least("fast", (800, 157_398.2), 1000, unit="requests/s")) == (
        "? inconclusive: fast\n"
        "  measured 800 to 157,398 requests/s, claimed at least 1,000 requests/s\n"
        f"  next: {NARROWER}"
    )


class Tags(html.parser.HTMLParser):
    """What JupyterLab would have to keep, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.open, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add((tag, *attrs))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("value", list(MARKS))
def test_it_reads_as_html_that_a_page_keeps(value):
    verdict = Verdict(value, "<b>1 & 2", "3 < 4", "at least 5", "rest & repeat")
    page = Tags(verdict._repr_html_())
    assert page.seen == {("p",), ("strong",), ("br",), ("small",)}
    assert page.open == []
    for part in (MARKS[value], value, *verdict[1:]):
        assert part in page.text
