"""Several workers on one storage: no trial is lost, none counts twice, none stays half done."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import itertools
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from tests.helpers import postgresql, search_workers
from tests.helpers.heard import Heard
from tests.helpers.postgresql import NAME, PASSWORD, Network, Server
from tests.helpers.search_workers import ANY, IN_FULL, Worker, pictures, plan, records, wait_for
from toolchain.benchmark.budget import Budget
from toolchain.search import Outcome, run, storage
from toolchain.search.storage import ConnectionLostError, Storage
from toolchain.search.trials import to_csv
from toolchain.support.errors import ToolchainError, UsageError

GRACE = 3.0  # seconds; more than a busy machine keeps a process from running
NUMBERS = itertools.count()
Open = Callable[[str], Storage]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = postgresql.programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed")
    with postgresql.running(programs) as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    """The address of an empty database."""
    return server.database(f"of_test_{next(NUMBERS)}")


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a storage, until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(Storage(storage.address(url, Path()), Heard()))


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Those that a test starts, so that none outlives it."""
    started: list[Worker] = []
    yield started
    for each in started:
        each.kill()


def over_network(url: str, port: int, user: str = NAME) -> str:
    """The same database, by a port of this machine."""
    name = url.partition("@/")[2].partition("?")[0]
    return f"postgresql://{user}@127.0.0.1:{port}/{name}"


def account(url: str, wanted: int, workers: list[Worker], dead: int | None = None) -> None:
    """Each trial that was asked for has one result, the known networks first, and each that died
    was tried again; the training in full was made once."""
    found = records(url)
    by = Counter(each.outcome for each in found)
    assert sum(each.outcome.is_result for each in found) == wanted
    assert by[Outcome.RUNNING] == by[Outcome.WAITING] == 0
    assert by[Outcome.FAILED] == 0
    assert dead is None or by[Outcome.DEAD] == dead
    assert len(found) == wanted + by[Outcome.DEAD]
    results = [each for each in found if each.outcome.is_result]
    known = [str(each.candidate) for each in results if each.known]
    assert len(known) == len(set(known)) == len(list(search_workers.SPACE.known()))
    dead_ones = {each.number for each in found if each.outcome is Outcome.DEAD}
    made = Counter(line.split()[1] for each in workers for line in each.said("made "))
    twice = [each for each, count in made.items() if count > 1]
    assert not twice
    late = sum(len(each.said("given to another worker")) for each in workers)
    trained = {each.number for each in results if each.outcome is Outcome.TRAINED}
    assert {int(each) for each in made if each != IN_FULL} - dead_ones == trained
    assert made[IN_FULL] == 1
    assert late <= len(dead_ones)


@pytest.mark.parametrize("where", ["postgresql", "file"])
def test_of_four_workers_one_is_killed_in_a_trial(
    where: str, tmp_path: Path, request: pytest.FixtureRequest, workers: list[Worker]
) -> None:
    database = f"sqlite:///{tmp_path}/search.db"
    url = request.getfixturevalue("url") if where == "postgresql" else database
    # at once, so that they make the tables and the study in the same moment
    names = ("a", "b", "c", "killed")
    workers += [Worker(tmp_path / name, url, 10, GRACE, held=ANY) for name in names]
    number = [int(each.await_held()) for each in workers][-1]
    workers[-1].kill()
    for each in workers[:-1]:
        each.go_on()
    for each in workers[:-1]:
        each.await_end()
    account(url, 10, workers, dead=1)
    killed = records(url)[number]
    assert (killed.outcome, killed.worker) == (Outcome.DEAD, "killed")
    same = [each for each in records(url) if each.candidate == killed.candidate]
    assert [each.worker in ("a", "b", "c") for each in same] == [False, True]


def test_the_server_is_restarted_in_the_middle(
    tmp_path: Path, server: Server, url: str, workers: list[Worker]
) -> None:
    workers += [Worker(tmp_path / name, url, 16, held=ANY) for name in "abcd"]
    for each in workers:
        each.await_held()
    server.stop()
    for each in workers:
        each.await_said("does not answer")
    server.start()
    for each in workers:
        each.await_said("answers again")
        assert len(each.said("does not answer")) == len(each.said("answers again")) == 1
        each.go_on()
    wait_for(lambda: sum(len(each.said("trials are done")) for each in workers) >= 8)
    server.stop()  # wherever they are just now
    server.start()
    for each in workers:
        each.await_end()
    account(url, 16, workers)


def test_workers_that_were_away_for_too_long_come_back(
    tmp_path: Path, server: Server, url: str, workers: list[Worker]
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:*:*:{NAME}:{PASSWORD}\n")
    passwords.chmod(0o600)
    with Network(server.port) as network:
        there = over_network(url, network.port)
        cut = Worker(tmp_path / "cut", there, 8, GRACE, ANY, {"PGPASSFILE": str(passwords)})
        asleep = Worker(tmp_path / "asleep", url, 8, GRACE, held=ANY)
        workers += [cut, asleep]
        lost = {int(each.await_held()) for each in workers}
        network.cut()
        asleep.send(signal.SIGSTOP)
        workers.append(Worker(tmp_path / "there", url, 8, GRACE))
        workers[-1].await_end()
        network.mend()
        asleep.send(signal.SIGCONT)
        for each in (cut, asleep):
            each.go_on()
            each.await_end()
            assert len(each.said("given to another worker")) == 1
        assert len(cut.said("does not answer")) == len(cut.said("answers again")) == 1
    account(url, 8, workers, dead=2)
    assert {each.number for each in records(url) if each.outcome is Outcome.DEAD} == lost
    assert not [each for each in workers if PASSWORD in each.output]


def test_the_training_in_full_is_taken_over(
    tmp_path: Path, url: str, workers: list[Worker]
) -> None:
    workers += [Worker(tmp_path / name, url, 4, GRACE, held=IN_FULL) for name in "ab"]
    wait_for(lambda: any(each.said(f"held in {IN_FULL}") for each in workers))
    first, other = sorted(workers, key=lambda each: not each.said(f"held in {IN_FULL}"))
    wait_for(lambda: other.said("Another worker trains the best in full."))
    first.kill()
    other.go_on()
    other.await_end()
    account(url, 4, workers, dead=0)
    late = Worker(tmp_path / "late", url, 4, GRACE)  # the same command once more
    workers.append(late)
    late.await_end()
    assert late.said("made ") == [f"made {IN_FULL}"]


def test_whoever_falls_silent_in_a_transaction_loses_the_lock(
    url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SILENT", 1)
    first, second = (opened(url) for _ in range(2))

    def sleepy() -> None:
        with first.transaction():
            with second.transaction():  # as soon as the server has let go of the first
                pass
            with first.optuna.scoped_session() as session:
                session.execute(text("SELECT 1"))

    with pytest.raises(ConnectionLostError):
        sleepy()


def test_who_has_something_else_is_refused(
    url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(url)
    run.agreed(kept, plan(4), pictures(), Heard())
    run.agreed(kept, dataclasses.replace(plan(9), finalists=4), pictures(), Heard())
    with pytest.raises(ToolchainError, match=r"another pictures: pictures .*, here .*--name"):
        run.agreed(kept, plan(4), pictures(shade=1), Heard())
    with pytest.raises(ToolchainError, match=r"another budget: .*9000.*, here .*8000"):
        run.agreed(kept, plan(4, Budget(max_size=8_000)), pictures(), Heard())
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.0.7")
    with pytest.raises(ToolchainError, match=r"another toolchain: .*, here 0\.0\.7"):
        run.agreed(kept, plan(4), pictures(), Heard())


def test_a_service_file_names_the_database(
    server: Server, url: str, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, passwords = tmp_path / "services", tmp_path / "passwords"
    name = url.partition("@/")[2].partition("?")[0]
    services.write_text(
        f"[pictures]\nhost=127.0.0.1\nport={server.port}\ndbname={name}\nuser={NAME}\n"
    )
    passwords.write_text(f"127.0.0.1:*:*:{NAME}:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    address = "postgresql:///?service=pictures"
    kept = opened(address)
    run.agreed(kept, plan(1), pictures(), Heard())
    assert str(kept) == address
    assert len(records(url)) == len(list(search_workers.SPACE.known()))


def test_a_password_is_shown_nowhere(server: Server, url: str, opened: Open) -> None:
    heard = Heard()
    secret = over_network(url, server.port, f"{NAME}:{quote(PASSWORD)}")
    kept = opened(secret)
    queue = run.agreed(kept, plan(1), pictures(), heard)
    with kept.transaction():  # a connection of ours is open now
        titles = server.titles()
    assert titles
    shown = [*titles, str(kept), repr(kept.optuna.url), repr(kept.optuna.engine), *heard]
    trial = queue.next(1, "")
    assert trial is not None

    def failing(_: object) -> float:
        raise ToolchainError(f"{kept} is full")

    with pytest.raises(ToolchainError):
        queue.attempt(trial, failing)
    shown.append(to_csv(records(url)))
    for wrong in (secret.replace("@", "x@"), secret.replace(NAME, "nobody"), f"{secret}?nosuch=1"):
        with pytest.raises(
            ToolchainError, match=r"cannot be opened: .*Check its address"
        ) as refused:
            opened(wrong)
        shown += [str(refused.value), str(refused.value.__cause__)]
    assert not [each for each in shown if PASSWORD in each or quote(PASSWORD) in each]


@pytest.mark.parametrize(
    ("address", "has"),
    [
        ("postgresql://user@host/database", False),
        ("postgresql://user:secret@host/database", True),
        ("postgresql://user@host/database?password=secret", True),
        ("postgresql://user@host/database?sslpassword=secret", True),
    ],
)
def test_an_address_with_a_password_is_known(address: str, has: bool) -> None:
    assert storage.has_password(storage.parsed(address)) is has


def test_psycopg_after_tensorflow_would_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    monkeypatch.delitem(sys.modules, "psycopg")
    with pytest.raises(ToolchainError, match="Import psycopg at the top"):
        storage.parsed("postgresql://user@host/database")


@pytest.mark.parametrize(
    "address", ["secret", "mysql://user:secret@host/x", "postgresql://user:secret@host:port/x"]
)
def test_no_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no address that is known") as refused:
        storage.address(address, tmp_path)
    assert "secret" not in str(refused.value)


def test_tls_options_reach_the_server(server: Server, opened: Open) -> None:
    if not server.has_tls:
        pytest.skip("openssl is not installed")
    secret = f"{NAME}:{quote(PASSWORD)}"
    server.database("encrypted")
    there = f"postgresql://{secret}@localhost:{server.port}/encrypted?hostaddr=127.0.0.1&sslmode="
    vouching = f"{there}verify-full&sslrootcert={server.folder}/server.crt"
    kept = opened(vouching)
    with kept.transaction(), kept.optuna.scoped_session() as session:
        used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert session.execute(text(used)).scalar() is True
    with pytest.raises(ToolchainError, match="cannot be opened"):
        opened(f"{there}disable")
    other = vouching.replace("localhost", "127.0.0.1").replace("hostaddr=127.0.0.1&", "")
    with pytest.raises(ToolchainError, match="certificate"):
        opened(other)


def test_a_file_may_lie_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "a {b} 100%c?d"
    with Storage(storage.address(None, folder), Heard()) as kept:
        run.agreed(kept, plan(1), pictures(), Heard())
    assert (folder / storage.FILE).exists()
    assert str(kept) == str(folder / storage.FILE)
