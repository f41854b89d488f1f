"""Data sets, and what is wrong with pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.datasets import Status
    from toolchain.userdata.check import DataReport as Checked
    from toolchain.userdata.check import Example, Finding


def data(found: Sequence[Status]) -> None:
    """Which data sets there are, and where."""
    rows = []
    for status in found:
        where = status.where or " → ".join(status.sources)
        rows.append((status.name, status.title, "yes" if status.here else "no", where))
    print_table("Data sets", ("name", "what", "here", "where it is, or would come from"), rows)
    for status in found:
        if status.problem:
            console().print(f"{status.name}: {status.problem}")


SHOWN = 3  # examples of a finding


def own_data(found: Checked) -> None:
    """What is wrong with a user's pictures, and how many there are of each class."""
    contract = found.contract
    validation = any(each.validation for each in found.classes)
    chosen = "given" if found.split == "given" else "chosen by content"
    print_table(
        f"{found.path} as {contract.width}×{contract.height} "
        f"{'colour' if contract.channels == 3 else 'grayscale'}, {contract.fit}"
        f"{' (proposed)' if found.proposed else ''}; test pictures {chosen}",
        ("class", ">to train", "[>to validate with]", ">to test with"),
        [
            (
                each.label,
                f"{each.training:,}",
                f"{each.validation:,}" if validation else "",
                f"{each.test:,}",
            )
            for each in found.classes
        ],
    )
    rows = [
        (each.severity.value, f"{each.count:,}", each.what, _examples(each))
        for each in found.findings
    ]
    print_table("Found", ("", ">how many", "what", "[such as]"), rows)
    for finding in found.findings:
        for line in _reasons(finding):
            console().print(line, soft_wrap=True)


def _examples(finding: Finding) -> str:
    """Files, with what fits beside them; sentences have more room below the table."""
    shown = (
        " ↔ ".join(each.files) + (f": {each.why}" if each.why and not _is_sentence(each) else "")
        for each in finding.examples[:SHOWN]
    )
    return "\n".join(shown)


def _reasons(finding: Finding) -> list[str]:
    """Each sentence on the examples once, with the first file that it is about."""
    reasons: dict[str, str] = {}
    for each in filter(_is_sentence, finding.examples):
        reasons.setdefault(each.why, " ↔ ".join(each.files))
    return [f"{files}: {why}" for why, files in itertools.islice(reasons.items(), SHOWN)]


def _is_sentence(example: Example) -> bool:
    return example.why.endswith(".")
