"""The table behind the figure of the choice, and the figure in words."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import require, rows

REMEDY = "give the table of the study 'choice'"
IDEAL_TOP_PERCENT = 100 / 4  # of four equal workers
IDEAL_SLOW_PERCENT = 100 / 6  # of two workers, one of them five times slower
FAMILIES = ("shared queue", "hash", "handed over")
MEASURES = ("top", "slow")


def choice_table(
    runs: pd.DataFrame,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy: the medians of both shares, with their ranges.

    Columns: strategy, family, top_percent, top_low, top_high, slow_percent,
    slow_low, slow_high, repeats; and with a prediction, predicted_top and
    predicted_slow. A strategy that was only predicted has a row without numbers.
    recorded: others' runs, further rows that a column `from` tells apart, see
    `outlines.of_both`.
    """
    names = [f"{measure}_share_percent" for measure in MEASURES]
    require(runs, "runs of choice", REMEDY, "strategy", "family", *names)
    if unknown := set(runs["family"]) - set(FAMILIES):
        raise ValueError(f"family {min(unknown)!r}: there are {', '.join(FAMILIES)}")
    by_strategy = runs.groupby("strategy", sort=False)
    table = pd.DataFrame({"family": by_strategy["family"].first()})
    for measure, name in zip(MEASURES, names, strict=True):
        share = by_strategy[name]
        table[f"{measure}_percent"] = share.median()
        table[f"{measure}_low"], table[f"{measure}_high"] = share.min(), share.max()
        missing = table[f"{measure}_percent"].isna().to_numpy()
        if missing.any():
            strategy = table.index[missing][0]
            raise ValueError(
                f"strategy {strategy!r} has no {name}: measure both, or none"
            )
    table["repeats"] = by_strategy.size()
    table = _with_guesses(table, predicted or {}).reset_index()
    return of_both(table, recorded, choice_table, ["strategy", "family"])


def _with_guesses(
    table: pd.DataFrame, predicted: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    if not predicted:
        return table
    for strategy, guess in predicted.items():
        if len(guess) != 2 or not all(0 <= share <= 100 for share in guess):
            raise ValueError(
                f"predicted[{strategy!r}]={guess!r}: give two shares in percent, that "
                "of the top worker and that of the slow one"
            )
    columns = ["predicted_top", "predicted_slow"]
    guesses = pd.DataFrame.from_dict(dict(predicted), orient="index", columns=columns)
    all_names = [*table.index, *guesses.index.difference(table.index, sort=False)]
    return table.reindex(all_names).join(guesses).rename_axis("strategy")


def choice_alt(
    runs: pd.DataFrame,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.choice` shows, in words."""
    table, theirs = parted(choice_table(runs, predicted, recorded))
    measured = table.dropna(subset="top_percent")
    each = "; ".join(
        f"{row.strategy} ({row.family}) {row.top_percent:.3g} % ({row.top_low:.3g} to "
        f"{row.top_high:.3g}) and {row.slow_percent:.3g} % ({row.slow_low:.3g} to "
        f"{row.slow_high:.3g})"
        for row in rows(measured)
    )
    text = (
        f"Scatter plot of {len(measured)} strategies, medians with their ranges: the "
        "top worker's share of an idle burst onto four workers (ideal "
        f"{IDEAL_TOP_PERCENT:.0f} %), and the share of a five times slower worker of "
        f"two (ideal {IDEAL_SLOW_PERCENT:.1f} %): {each}."
    )
    for strategy, (top, slow) in (predicted or {}).items():
        text += f" Predicted for {strategy}: {top:g} % and {slow:g} %."
    return text + told(
        recorded,
        (
            f"{row.strategy} {row.top_percent:.3g} % and {row.slow_percent:.3g} %"
            for row in rows(theirs)
        ),
    )
