"""The figures of a benchmark's row: one list for the terminal, Markdown and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toolchain.benchmark.summary import Latency, Row

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A figure: its `name`, its unit in it, and how a row tells it; `NONE` where it has none.

    `shown` says where: in the `terminal`, on the `page` (and in Markdown), or in both. A terminal
    that is too narrow leaves out those that are not `needed`, the last first.
    """

    name: str
    cell: Callable[[Row], str]
    needed: bool = False
    terminal: bool = True
    page: bool = True


def _accuracy(row: Row) -> str:
    return NONE if row.accuracy is None else f"{row.accuracy:.2%}"


def _interval(row: Row) -> str:
    return f"{100 * row.interval[0]:.2f} – {row.interval[1]:.2%}" if row.interval else NONE


def _time(pick: Callable[[Latency], float | None]) -> Callable[[Row], str]:
    """A time in microseconds, of rows that count."""

    def cell(row: Row) -> str:
        seconds = pick(row.latency) if row.latency and not row.problem else None
        return NONE if seconds is None else microseconds(seconds)

    return cell


def _per_second(row: Row) -> str:
    return f"{row.latency.per_second:,.0f}" if row.latency and not row.problem else NONE


def _faster(row: Row) -> str:
    return times_keras(row.faster) if row.latency and not row.problem and row.faster else NONE


def _memory(row: Row) -> str:
    return NONE if row.memory is None else f"{row.memory / 1e6:,.1f}"


def _cold(row: Row) -> str:
    cold = row.cold
    return f"{1e3 * (cold.python + cold.imports + cold.load + cold.first):,.0f}" if cold else NONE


INTERVAL = Column("95 % interval", _interval)  # on the page below the accuracy
COLUMNS = (
    Column("accuracy", _accuracy, needed=True),
    INTERVAL,
    Column("p50 µs", _time(lambda at: at.p50), needed=True),
    Column("p90 µs", _time(lambda at: at.p90), needed=True),
    Column("p99 µs", _time(lambda at: at.p99)),
    Column("p90 at most", _time(lambda at: at.bound90), page=False),
    Column("Python's µs", _time(lambda at: at.python), page=False),
    Column("images/s", _per_second, page=False),
    Column("× Keras", _faster),
    Column("KB", lambda row: f"{row.file.size / 1e3:,.0f}", needed=True),
    Column("memory MB", _memory, terminal=False),  # there they have a table of their own
    Column("cold start ms", _cold, terminal=False),
)
ON_TERMINAL = tuple(column for column in COLUMNS if column.terminal)
ON_PAGE = tuple(column for column in COLUMNS if column.page)


def microseconds(seconds: float) -> str:
    """A time in µs, without a decimal from a millisecond on."""
    return f"{1e6 * seconds:,.{0 if seconds >= 1e-3 else 1}f}"


def times_keras(faster: float) -> str:
    """How many times faster than Keras, in few digits; below 1 it is slower."""
    return f"{faster:.1f}" if faster >= 1 else f"{faster:.2g}"
