"""What became of a bundle on devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.delivery.deploying import DeployOutcome as Deployed


def deployed(outcomes: Sequence[Deployed]) -> None:
    """What became of a bundle on each device, and how to run it there."""
    rows = [
        (
            each.host,
            each.doctor.machine.board or each.doctor.machine.processor if each.doctor else "",
            each.doctor.machine.python if each.doctor else "",
            each.engine,
            _self_test_cell(each),
            f"FAILED: {each.failed}" if each.failed else "in place",
        )
        for each in outcomes
    ]
    columns = ("host", "[board]", "[Python]", "[engine]", "[self-test]", "state")
    print_table("Deployed", columns, rows)
    for each in outcomes:
        if each.command:
            console().print(f"{each.host}: {each.command} photo.png", soft_wrap=True)
        if each.result:
            console().print(f"{each.host}: measured, see {each.result}", soft_wrap=True)


def _self_test_cell(outcome: Deployed) -> str:
    if not outcome.self_test:
        return ""
    if not all(each.passed for each in outcome.self_test):
        return "FAIL"
    worst = max(each.largest_difference for each in outcome.self_test)
    return "bit-exact" if worst == 0 else f"pass, within {worst:.2g}"
