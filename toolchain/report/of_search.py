"""How a search went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.benchmark.columns import microseconds
from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.search import SearchResult, TrialRecord
    from toolchain.search.space import Candidate

MOST = 12  # trials that a table shows


def search(trials: Sequence[TrialRecord], title: str) -> None:
    """The best trials, and how many ended in which way."""
    from toolchain.search.trials import Outcome

    shown = [each for each in trials if each.accuracy is not None]
    shown.sort(key=lambda each: (each.outcome is not Outcome.TRAINED, -(each.accuracy or 0)))
    rows = [
        (
            f"{each.number}{', known' if each.known else ''}",
            f"{each.accuracy:.2%}",
            str(each.outcome),
            f"{each.cost.size / 1000:.1f}" if each.cost else "–",
            microseconds(each.cost.latency) if each.cost else "–",
            f"{each.cost.macs / 1e6:.2f}" if each.cost else "–",
            described(each.candidate) if each.candidate else "–",
        )
        for each in shown[:MOST]
    ]
    counted = Counter(str(each.outcome) for each in trials)
    head = ("trial", ">validation", "", ">KB", ">µs", ">M MACs", "network")
    print_table(title, head, rows)
    console().print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()) + ".")


def found(result: SearchResult) -> None:
    """The network that a search found, trained in full."""
    if result.winner is None or result.trained is None:
        return
    lines = [
        f"Trial {result.winner.number} is the best in full: {result.trained.test_accuracy:.2%} of "
        f"the test images in Keras. Wrote {result.trained.path} and its files.",
        f"Train it again with: toolchain train {result.trained.path.parent.name}",
    ]
    console().print("\n".join(lines))


def described(candidate: Candidate) -> str:
    """A candidate in a few words, such as `8/1, 16 +1 residual, 32 +1 valid, flatten`: channels,
    strides of the first stage, and blocks."""
    if candidate.design is None:
        return f"{candidate.architecture}, {candidate.depth} blocks"
    stages = [
        f"{stage.channels}{f' +{stage.blocks} {stage.kind}' if stage.blocks else ''}"
        for stage in candidate.design.stages
    ]
    return ", ".join([*stages, candidate.design.head])
