"""Where the trials of a search are kept: in a file beside the model, or in a database that several
machines share.
"""

from __future__ import annotations

import contextlib
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import ToolchainError, UsageError, require
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from optuna import Study
    from sqlalchemy import URL

FILE = "search.db"
HEARTBEAT = 10  # seconds between two signs of life of a trial
GRACE = 60  # seconds without one after which it counts as dead
BUSY = 60  # seconds to wait for another process that writes the file
RETRY = 2.0  # seconds between two tries to reach a database that does not answer
PATIENCE = 3600.0  # seconds after which they end
DRIVER = "postgresql+psycopg"
OPENINGS = 5  # tries to open a storage that others may be making at the same time

OnDead = Callable[[Any, Any], None]
"""Gets a study of Optuna and one of its frozen trials."""


class Storage:
    """Optuna's storage at an address.

    `optuna` is that storage. `on_dead` gets each trial whose process gave no sign of life for
    `GRACE` seconds, once one of those who take part has marked it as failed. A connection that
    breaks is made again: whoever needs it waits, and says so, as long as the database is away.
    """

    def __init__(self, url: URL, progress: Progress, on_dead: OnDead) -> None:
        self.url = url
        self._progress = progress
        self._on_dead = on_dead
        self._away = False
        self._back = -2.0 * HEARTBEAT  # when a database answered again that was away
        self.optuna = self._open()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def settle(self) -> None:
        """Wait until others that lost the database too have told that they live: what stayed away
        would else count as dead."""
        self.optuna.engine.connect().close()  # which waits for it
        time.sleep(max(0.0, self._back + 2 * HEARTBEAT - time.monotonic()))

    def _open(self) -> Any:
        optuna = require("optuna", "search")
        sqlalchemy = require("sqlalchemy", "search")

        class Beating(optuna.storages.RDBStorage):  # type: ignore[misc, name-defined]
            def record_heartbeat(self, trial_id: int) -> None:
                # the connection may break in this very moment; there will be another beat
                with contextlib.suppress(optuna.exceptions.StorageInternalError):
                    super().record_heartbeat(trial_id)

        made = self._made(Beating)
        if not self._is_file:
            sqlalchemy.event.listen(made.engine, "do_connect", self._connect)
        return made

    def _made(self, kind: type[Any]) -> Any:
        optuna = require("optuna", "search")
        sqlalchemy = require("sqlalchemy", "search")
        for left in reversed(range(OPENINGS)):
            try:
                with _unwarned():
                    return kind(
                        self.url.render_as_string(hide_password=False),
                        engine_kwargs={"pool_pre_ping": True, "connect_args": self._connecting()},
                        heartbeat_interval=HEARTBEAT,
                        grace_period=GRACE,
                        heartbeat_stale_trial_callback=self._on_dead,
                    )
            except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError) as error:
                if left:  # two that make the tables at once disturb each other
                    time.sleep(random.random())
                    continue
                raise ToolchainError(
                    f"The storage {self} cannot be opened: {_cause(error)}. Check its address and "
                    "that the database is running, or leave --storage out: a file needs no "
                    "database."
                ) from error
        raise AssertionError

    def replace_dead(self, study: Study) -> None:
        """Mark the trials that gave no sign of life as failed, and tell of each."""
        with _unwarned():
            require("optuna", "search").storages.fail_stale_trials(study)

    def _connecting(self) -> dict[str, Any]:
        return {"timeout": BUSY} if self._is_file else {}

    @property
    def _is_file(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _connect(self, dialect: Any, _record: Any, arguments: Any, settings: Any) -> Any:
        """A connection, as soon as there is one again."""
        began = time.monotonic()
        while True:
            try:
                found = dialect.connect(*arguments, **settings)
            except dialect.dbapi.OperationalError as error:
                if time.monotonic() - began > PATIENCE:
                    raise
                self._tell_away(error)
                time.sleep(RETRY)
            else:
                self._tell_back()
                return found

    def _tell_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            self._progress.say(f"{self} does not answer: {_cause(error)}. Waiting for it.")

    def _tell_back(self) -> None:
        if self._away:
            self._away, self._back = False, time.monotonic()
            self._progress.say(f"{self} answers again.")


def address(text: str | None, folder: Path) -> URL:
    """The address that --storage names; without it, that of a file in `folder`.

    Raises:
        UsageError: it is none that is known.
        ToolchainError: the extra that it needs is not installed.
    """
    sqlalchemy = require("sqlalchemy", "search")
    if text is None:
        folder.mkdir(parents=True, exist_ok=True)
        found: URL = sqlalchemy.URL.create("sqlite", database=str(folder / FILE))
        return found
    try:
        url: URL | None = sqlalchemy.make_url(text)
    except sqlalchemy.exc.ArgumentError:
        url = None  # the message would show what may hold a password
    if url is None or url.get_backend_name() not in ("postgresql", "sqlite"):
        raise UsageError(
            "--storage is no address that is known. Expected postgresql://user@host/database, or "
            "sqlite:///search.db for a file."
        )
    if url.get_backend_name() == "sqlite":
        return url
    require("psycopg", "search-postgresql")
    return url.set(drivername=DRIVER)


def has_password(text: str | None) -> bool:
    """Whether an address names a password."""
    sqlalchemy = require("sqlalchemy", "search")
    try:
        return text is not None and sqlalchemy.make_url(text).password is not None
    except sqlalchemy.exc.ArgumentError:
        return False


def _cause(error: BaseException) -> str:
    """The first line of what the database itself said."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0].rstrip(".")


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Optuna calls the signs of life experimental, at each use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", require("optuna", "search").exceptions.ExperimentalWarning)
        yield
