"""What this machine is, and which runtime to install on it.

Standard library only: it examines a machine that may have nothing else.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from toolchain.model import engines
from toolchain.model.engines import ENGINES, Engine, Here
from toolchain.support import machine
from toolchain.support.machine import Machine, MachineState

PACKAGES = ("numpy", "pillow")  # without which no engine answers pictures
SIGNATURES = "signatures"  # the key of their advice


@dataclass(frozen=True)
class EngineHere:
    """One engine: the version that is installed, or empty; and why it does not fit, or empty."""

    name: str
    format: str
    version: str
    unfit: str


@dataclass(frozen=True)
class DoctorReport:
    """What the doctor found. `packages` are the versions of numpy, Pillow and what checks
    signatures, empty where missing.

    `advice` is the sentence with the line to type, per format that pictures cannot be answered
    with: it has no engine, or one of the packages is missing; and for signatures likewise.
    """

    machine: Machine
    state: MachineState
    features: tuple[str, ...]
    programs: str
    engines: tuple[EngineHere, ...]
    packages: dict[str, str]
    advice: dict[str, str]


def examine(here: Here | None = None) -> DoctorReport:
    """Look at this machine, or at what is said of another Python on it."""
    place = here or engines.here()
    found = tuple(_engine(each, place) for each in ENGINES)
    packages = {name: _version(name) for name in (*PACKAGES, engines.SIGNATURES)}
    able = all(packages[name] for name in PACKAGES)
    ready = {each.format for each in found if each.version} if able else set()
    missing = {each.format for each in ENGINES} - ready
    advice = {each: engines.advice(each, place) for each in sorted(missing, reverse=True)}
    if not packages[engines.SIGNATURES]:
        advice[SIGNATURES] = engines.signatures_advice(place)
    return DoctorReport(
        machine=machine.describe(),
        state=machine.state(),
        features=machine.features(),
        programs=place.machine,
        engines=found,
        packages=packages,
        advice=advice,
    )


def _engine(engine: Engine, place: Here) -> EngineHere:
    here = importlib.util.find_spec(engine.module) is not None
    version = (_version(engine.name) or "of unknown version") if here else ""
    return EngineHere(engine.name, engine.format, version, engines.unfit(engine, place))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def lines(report: DoctorReport, formats: Sequence[str], signed: bool) -> list[str]:
    """The report for people who have files of such formats, and whether these are `signed`."""
    here, state = report.machine, report.state
    needs = {each: f".{each} files" for each in formats}
    if signed:
        needs[SIGNATURES] = SIGNATURES
    return [
        f"board: {here.board or 'unknown'}",
        f"processor: {here.processor or 'unknown'}, {here.cores} cores, "
        f"{', '.join(report.features) or 'no features known'}",
        f"memory: {here.memory / 2**30:.1f} GiB",
        f"system: {here.system}, programs {report.programs}, {here.libc or 'C library unknown'}",
        f"python: {here.python}",
        f"state: {', '.join(_state(state)) or 'the system does not tell'}",
        *(_package_line(name, version) for name, version in report.packages.items()),
        *(_engine_line(each) for each in report.engines),
        *(f"for {needs[each]}: {report.advice[each]}" for each in needs if each in report.advice),
    ]


def _package_line(name: str, version: str) -> str:
    only = " (only signatures need it)" if name == engines.SIGNATURES else ""
    return f"{name}: {version or f'missing{only}'}"


def _engine_line(engine: EngineHere) -> str:
    if engine.version:
        return f"{engine.name} (.{engine.format}): {engine.version} is installed"
    fits = f"does not fit: {engine.unfit}" if engine.unfit else "fits, not installed"
    return f"{engine.name} (.{engine.format}): {fits}"


def _state(state: MachineState) -> list[str]:
    known = {
        "load": state.load,
        "governor": state.governor or None,
        "limit": None if state.limit_khz is None else f"{state.limit_khz // 1000} MHz",
        "temperature": None if state.temperature is None else f"{state.temperature:.0f} °C",
        "throttle events": state.throttled,
    }
    said = [f"{name} {value}" for name, value in known.items() if value is not None]
    return said + machine.troubles(state)
