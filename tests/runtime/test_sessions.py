"""Several threads and the sessions that they share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.sessions import FakeSession
from toolchain.formats import Session
from toolchain.runtime.sessions import Sessions
from toolchain.support.errors import ToolchainError


class Counted(FakeSession):
    """A session that tells whether two threads were ever in it at once."""

    def __init__(self, meeting: threading.Barrier | None = None) -> None:
        self._inside = threading.Lock()
        self._meeting = meeting

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self._inside.acquire(blocking=False), "two threads in one session"
        if self._meeting:
            self._meeting.wait(60)  # until as many threads are in sessions of their own
        self._inside.release()
        return images.astype(np.float32)


def ask(sessions: Sessions) -> Session:
    session = sessions.take()
    try:
        session.run(np.zeros(1, np.uint8))
    finally:
        sessions.give(session)
    return session


def refuse() -> Counted:
    raise ToolchainError("no room")


def test_one_thread_opens_no_other_session() -> None:
    first = Counted()
    sessions = Sessions(first, refuse, most=4)
    assert all(ask(sessions) is first for _ in range(100))


def test_threads_that_meet_get_sessions_of_their_own() -> None:
    meeting = threading.Barrier(3)
    sessions = Sessions(Counted(meeting), lambda: Counted(meeting), most=3)
    with ThreadPoolExecutor(3) as pool:
        used = list(pool.map(lambda _: ask(sessions), range(30)))
    assert len(set(map(id, used))) == 3


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_are_opened_than_allowed_and_none_is_shared(most: int) -> None:
    opened = [Counted()]

    def another() -> Counted:
        opened.append(Counted())
        return opened[-1]

    sessions = Sessions(opened[0], another, most)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: ask(sessions), range(5000)))
    assert len(opened) <= most


def test_where_another_cannot_be_opened_the_thread_is_told_and_the_rest_go_on() -> None:
    sessions = Sessions(Counted(), refuse, most=2)
    held = sessions.take()
    with pytest.raises(ToolchainError, match="no room"):
        sessions.take()
    sessions.give(held)
    assert ask(sessions) is held
