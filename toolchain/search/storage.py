"""Where the trials of a search are kept: in a file beside the model, or in a database that several
machines share.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import ToolchainError, UsageError, require
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL, Connection

FILE = "search.db"
BUSY = 60  # seconds to wait for another process that writes the file
RETRY = 2.0  # seconds between two tries to reach a database that does not answer
SILENT = 60  # seconds after which the database takes its lock from a worker that it lost
OPENINGS = 5  # tries to make the tables, which others may be making at the same time
DRIVER = "postgresql+psycopg"
LOCK = 7_463_190_283  # of ours among all advisory locks of a database; drawn once
SECRETS = ("password", "sslpassword")  # parameters of an address that nobody should see
# libpq: so that a network that swallows everything is noticed before others take our trials
LIVELINESS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


class ConnectionLostError(Exception):
    """The connection broke in a transaction, of which nothing has happened then; or all of it, if
    it broke at the very end."""


class Storage:
    """Optuna's storage at an address, until the end of the `with` block that it is used in.

    `optuna` is that storage. Whoever needs a connection to a database that is away waits for it,
    and says so; `since` is when the last one was made, as told by `time.monotonic`.

    Raises:
        ToolchainError: it cannot be opened.
    """

    def __init__(self, url: URL, progress: Progress) -> None:
        self.since = time.monotonic()
        self._url = url
        self._progress = progress
        self._is_file = url.get_backend_name() == "sqlite"
        kind = url.get_dialect()
        self._dialect = kind(dbapi=kind.import_dbapi())  # type: ignore[call-arg]
        self._waits = False  # while it is opened, an error is an error
        self._is_away = False
        self._telling = threading.Lock()
        self.optuna = self._opened()
        self._waits = not self._is_file

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *error: object) -> None:
        self.optuna.engine.dispose()

    def __str__(self) -> str:
        if self._is_file:
            return str(self._url.database)
        shown = self._url.set(drivername=self._url.get_backend_name())
        return shown.difference_update_query(SECRETS).render_as_string(hide_password=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that this thread does with the storage inside happens at once or not at all, and
        while nobody else is in such a transaction.

        Whoever loses the connection loses the lock with it, for both are one.

        Raises:
            ConnectionLostError: the connection broke; try again.
            ToolchainError: the storage cannot do what was asked.
        """
        broken = require("sqlalchemy", "search").exc.SQLAlchemyError
        said = require("optuna", "search").exceptions.StorageInternalError  # of one of those
        with self.optuna.engine.connect() as connection:
            try:
                with connection.begin():
                    self._lock(connection)
                    with self._bound(connection):
                        yield
            except (broken, said) as error:
                if connection.invalidated:
                    raise ConnectionLostError from error
                raise self._refusal("failed", error) from error

    def _lock(self, connection: Connection) -> None:
        if self._is_file:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")

    @contextlib.contextmanager
    def _bound(self, connection: Connection) -> Iterator[None]:
        """What Optuna does in this thread goes over this connection; what it commits or takes back
        is a part of the transaction there."""
        sessions = self.optuna.scoped_session
        sessions.remove()
        sessions(bind=connection, join_transaction_mode="create_savepoint")
        try:
            yield
        finally:
            sessions.remove()

    def _opened(self) -> RDBStorage:
        optuna = require("optuna", "search")
        sqlalchemy = require("sqlalchemy", "search")
        # Optuna need not know the address: it would repeat the password, and stumble over braces
        nowhere = "sqlite:///file" if self._is_file else f"{DRIVER}://"
        how = {"creator": self._connected, "pool_pre_ping": True}
        for left in reversed(range(OPENINGS)):
            try:
                made: RDBStorage = optuna.storages.RDBStorage(nowhere, engine_kwargs=how)
                return made
            except RuntimeError as error:  # the tables are those of another version of Optuna
                raise self._refusal("cannot be opened", error) from error
            except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError) as error:
                if not left:
                    raise self._refusal("cannot be opened", error) from error
                time.sleep(random.random())  # two that make the tables at once disturb each other
        raise AssertionError

    def _connected(self) -> Any:
        """A new connection: of a file, or as soon as the database answers."""
        arguments, settings = self._dialect.create_connect_args(self._url)
        usual = {"timeout": BUSY} if self._is_file else LIVELINESS
        while True:
            try:
                made = self._dialect.connect(*arguments, **{**usual, **settings})
                self._prepare(made)
            except self._dialect.loaded_dbapi.OperationalError as error:
                if not self._waits:
                    raise self._refusal("cannot be opened", error) from error
                self._tell(f"{self} does not answer: {_cause(error)}. Waiting for it.", away=True)
                time.sleep(RETRY)
            else:
                self.since = time.monotonic()
                self._tell(f"{self} answers again.", away=False)
                return made

    def _prepare(self, made: Any) -> None:
        if not self._is_file:
            made.execute(f"SET idle_in_transaction_session_timeout = '{SILENT}s'")
            made.commit()

    def _tell(self, words: str, away: bool) -> None:
        """Say it if it is news."""
        with self._telling:
            if away is not self._is_away:
                self._is_away = away
                self._progress.say(words)

    def _refusal(self, what: str, error: BaseException) -> ToolchainError:
        return ToolchainError(
            f"The storage {self} {what}: {_cause(error)}. Check its address and that the database "
            "is running, or leave --storage out: a file needs no database."
        )


def address(text: str | None, folder: Path) -> URL:
    """The address that --storage names; without it, that of a file in `folder`.

    Raises:
        UsageError: as `parsed`.
        ToolchainError: as `parsed`.
    """
    if text is not None:
        return parsed(text)
    folder.mkdir(parents=True, exist_ok=True)
    found: URL = require("sqlalchemy", "search").URL.create("sqlite", database=str(folder / FILE))
    return found


def parsed(text: str) -> URL:
    """An address, whose database can be used from now on, also after TensorFlow is imported.

    Raises:
        UsageError: it is none that is known.
        ToolchainError: the extra that it needs is not installed, or was imported too late.
    """
    sqlalchemy = require("sqlalchemy", "search")
    try:
        url: URL | None = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        url = None  # the error would show what may hold a password
    if url is None or url.get_backend_name() not in ("postgresql", "sqlite"):
        raise UsageError(
            "--storage is no address that is known. Expected postgresql://user@host/database, or "
            "sqlite:///search.db for a file."
        )
    if url.get_backend_name() == "sqlite":
        return url
    _import_psycopg()
    return url.set(drivername=DRIVER)


def _import_psycopg() -> None:
    """
    Raises:
        ToolchainError: TensorFlow was imported before it. The one's OpenSSL would then find the
            other's BoringSSL and crash in the first connection with TLS (tensorflow#93969).
    """
    if "tensorflow" in sys.modules and "psycopg" not in sys.modules:
        raise ToolchainError(
            "TensorFlow was imported before psycopg, and would crash it. Import psycopg at the top "
            "of your program."
        )
    require("psycopg", "search-postgresql")


def has_password(url: URL) -> bool:
    """Whether an address names a password."""
    return url.password is not None or any(map(url.query.get, SECRETS))


def _cause(error: BaseException) -> str:
    """The first line of what the database itself said."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0].rstrip(".")
