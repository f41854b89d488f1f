"""A bundle onto devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.options import AllowOlder, Json, Official, Trusted
from toolchain.support.errors import ProofFailedError, ToolchainError, UsageError
from toolchain.support.records import as_json


def deploy(
    bundle_: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A file that `bundle` made, NAME.int8.pyz.")
    ],
    host: Annotated[
        list[str],
        typer.Argument(metavar="HOST", help="The devices, as ssh names them: user@host."),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FOLDER", help="The folder on the device, in the user's home."
        ),
    ] = "toolchain",
    install: Annotated[
        bool,
        typer.Option("--install", help="Install missing packages on the device into FOLDER/env."),
    ] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="Benchmark the bundle on the device afterwards.")
    ] = False,
    official: Official = False,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="With --bench: the local folder for HOST-NAME.json, which `report` reads.",
        ),
    ] = Path(),
    trust: Trusted = None,
    allow_older: AllowOlder = False,
    json: Json = False,
) -> None:
    """Install a bundle on devices over SSH, after its self-test has passed there."""
    if not bench and (official or out != Path()):
        raise UsageError("--official and --out say how to measure. Add --bench, or leave them out.")
    from toolchain import report
    from toolchain.cli.progress import LINES, say
    from toolchain.delivery import deploying

    outcomes: list[deploying.DeployOutcome] = []

    def tell(outcome: deploying.DeployOutcome) -> None:
        outcomes.append(outcome)
        say(f"{outcome.host}: {'done' if outcome.passed else f'failed: {outcome.failed}'}")

    plan = deploying.DeployPlan(to, install, bench, official, out, tuple(trust or ()), allow_older)
    try:
        deploying.deploy(bundle_, host, plan, LINES, tell)
    except KeyboardInterrupt:
        say("Interrupted. What was in place on a device is still in place.")
        raise
    finally:  # a device that was done before Ctrl-C is done
        outcomes.sort(key=lambda outcome: host.index(outcome.host))
        if json:
            typer.echo(as_json(outcomes), nl=False)
        elif outcomes:
            report.deployed(outcomes)
    code = deploying.exit_code(outcomes)
    if code:
        problems = [
            each.problem if each.host in each.problem else f"{each.host}: {each.problem}"
            for each in outcomes
            if each.problem
        ]
        kind = ProofFailedError if code == ProofFailedError.exit_code else ToolchainError
        raise kind("\n".join(problems))
