"""Which file to ship: those that fit what is asked for, and of them the fastest that is as good."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.benchmark.budget import Budget
from toolchain.benchmark.results import FileResult, Result
from toolchain.benchmark.summary import Row, named_right, rows
from toolchain.evaluation import metrics

CHANCE = 0.05  # a p-value above it is no evidence that a file is worse
TIE = 0.05  # share by which latencies may differ and still count as the same


@dataclass(frozen=True)
class Choice:
    """The row to ship and by which part of the rule, None where nothing fits; and for every other
    row why it is not."""

    row: Row | None
    why: str
    reasons: tuple[tuple[Row, str], ...]


def choose(result: Result, budget: Budget) -> Choice:
    """The file to ship by this rule, and why the others are not.

    Out fall what is wrong, and what exceeds the budget. Of the rest, those are as good as the
    best whose accuracy is not significantly lower than its accuracy (McNemar's exact test on the
    same images). Of them the fastest by p90 is shipped; within 5 % of it, the smallest.
    """
    found = rows(result)
    reasons = {id(row): _why_not(row, budget) for row in found}
    fitting = [row for row in found if not reasons[id(row)]]
    if not fitting:
        return Choice(None, "nothing fits", tuple((row, reasons[id(row)]) for row in found))
    best = max(fitting, key=lambda row: row.accuracy or 0)
    good = []
    for row in fitting:
        p = _chance_of_equal(result, best.file, row.file)
        if p < CHANCE:
            reasons[id(row)] = f"less accurate than {best.name} (McNemar p = {p:.2g})"
        else:
            good.append(row)
    fastest = min(good, key=_p90)
    tied = [row for row in good if _p90(row) <= _p90(fastest) * (1 + TIE)]
    shipped = min(tied, key=lambda row: (row.file.size, _p90(row)))
    for row in good:
        if row not in tied:
            slower = _p90(row) / _p90(fastest)
            reasons[id(row)] = f"{slower:.2f} times slower than {fastest.name}"
        elif row.file.size > shipped.file.size:
            reasons[id(row)] = f"larger than {shipped.name}, and about as fast"
        else:
            reasons[id(row)] = f"no faster than {shipped.name}"
    why = "the fastest of those that fit and are as accurate as the best"
    if _p90(shipped) > _p90(fastest):
        why = (
            "the smallest of those that fit, are as accurate as the best, and are at most "
            f"{100 * TIE:g} % slower than {fastest.name}"
        )
    return Choice(
        shipped, why, tuple((row, reasons[id(row)]) for row in found if row is not shipped)
    )


def _why_not(row: Row, budget: Budget) -> str:
    """What keeps a row out, by itself; empty where nothing does."""
    if row.problem:
        return row.problem
    if row.latency is None:
        return "not measured"
    found = []
    limits = (
        ("p90", row.latency.p90, budget.max_latency, 1e6, "µs"),
        ("size", row.file.size, budget.max_size, 1e-3, "KB"),
        ("memory", row.memory, budget.max_memory, 1e-6, "MB"),
    )
    for what, value, most, scale, unit in limits:
        if most is not None and value is None:
            found.append(f"{what} is not known")
        elif most is not None and value is not None and value > most:
            found.append(f"{what} {value * scale:,.1f} {unit} > {most * scale:,.1f} {unit}")
    least = budget.min_accuracy
    if least is not None and (row.accuracy or 0) < least:
        found.append(f"accuracy {row.accuracy:.2%} < {least:.2%}")
    return ", ".join(found)


def _chance_of_equal(result: Result, best: FileResult, other: FileResult) -> float:
    right = named_right(result, best), named_right(result, other)
    only_best, only_other = metrics.discordant_pairs(*right)
    return metrics.mcnemar_exact(only_best, only_other) if only_best > only_other else 1.0


def _p90(row: Row) -> float:
    assert row.latency is not None
    return row.latency.p90
