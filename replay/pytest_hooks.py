"""The hooks of tests that have a session: registered when the first one is opened.

The life of a session follows the test: it is judged at the end of the test's call, so that what it finds fails the test
itself. In between it is the state of the process (a fixture of another task or thread finds it) and is set inside the
test's own coroutine (a task that outlives its test takes that test's closed session along and is refused by it).
"""

from collections.abc import Generator
from contextlib import nullcontext
from typing import Any

import pytest

from .pytest_reporter import NOTE, say
from .pytest_session import OwnSession

OWN = pytest.StashKey[OwnSession]()
"""The session of a test, from its set-up until it is torn down."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Set the session in the context of the test's own fixtures; wider ones belong to no test."""
    own = request.node.stash.get(OWN, None) if request.scope == 'function' else None
    if own is None:
        return (yield)
    with own.inside_fixture(fixturedef):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Judge the session of a test when its call is over, so that what is found fails the test itself."""
    own = item.stash.get(OWN, None)
    with nullcontext() if own is None else own.inside():
        try:
            if own is not None:
                own.begin()
            yield
        except BaseException as error:
            _judge(item, error)
            raise
    _judge(item, None)


def _judge(item: pytest.Item, error: BaseException | None) -> None:
    """Judge the session that the test had or came to have, and fail a test that passed in spite of what is found."""
    own = item.stash.get(OWN, None)
    if own is not None:
        own.judge(error)
        if own.problem is not None and error is None:
            own.fail()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Let fixtures be torn down under the closed session, which refuses runs that would otherwise go live."""
    own = item.stash.get(OWN, None)
    if own is None:
        return (yield)
    del item.stash[OWN]
    with own.session.bound():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a test take its note along, and say in its short line what was found."""
    report = yield
    own = item.stash.get(OWN, None)
    if own is None or (call.when == 'setup' and call.excinfo is None):
        return report
    own.judge(call.excinfo and call.excinfo.value)  # of a test that failed before its call; else it is judged already
    if own.note is not None:
        vars(report)[NOTE] = own.note.to_data()
        say(report, own.note)
    return report
