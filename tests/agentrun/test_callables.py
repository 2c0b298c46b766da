import functools
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from agentrun._callables import call_function, is_async_callable, run_in_thread, sync_inline

pytestmark = pytest.mark.anyio


def plain(x: int) -> int:
    return x


async def coroutine(x: int) -> int:
    return x


class Plain:
    def __call__(self, x: int) -> int:
        return x


class Async:
    async def __call__(self, x: int) -> int:
        return x

    async def method(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ('function', 'expected'),
    [
        (plain, False),
        (coroutine, True),
        (functools.partial(plain, 1), False),
        (functools.partial(functools.partial(coroutine), 1), True),
        (Plain(), False),
        (Async(), True),
        (Async().method, True),
        (functools.partial(Async(), 1), True),
        (len, False),
        (Plain, False),
    ],
)
def test_async_callables_are_told_apart(function: Any, expected: bool):
    assert is_async_callable(function) is expected


async def test_an_async_function_runs_where_it_is_called():
    async def where(note: str) -> tuple[int, str]:
        return threading.get_ident(), note

    assert await call_function(where, 'a', is_async=True) == (threading.get_ident(), 'a')


async def test_a_sync_function_runs_in_another_thread():
    def where(note: str) -> tuple[int, str]:
        return threading.get_ident(), note

    thread, note = await call_function(where, 'a', is_async=False)
    assert thread != threading.get_ident()
    assert note == 'a'


async def test_a_thread_sees_the_context_of_its_caller_and_leaves_it_alone():
    variable = ContextVar('variable', default='outside')
    variable.set('caller')

    def look() -> str:
        seen = variable.get()
        variable.set('thread')
        return seen

    assert await run_in_thread(look) == 'caller'
    assert variable.get() == 'caller'


async def test_what_a_function_raises_in_a_thread_comes_out_as_itself():
    error = ValueError('x')

    def fail(*, wrong: bool) -> None:
        if wrong:
            raise error

    with pytest.raises(ValueError, match='x') as caught:
        await run_in_thread(fail, wrong=True)
    assert caught.value is error


async def test_a_sync_function_is_called_in_place_where_the_user_says_that_none_blocks():
    with sync_inline():
        assert await run_in_thread(threading.get_ident) == threading.get_ident()
        assert await call_function(threading.get_ident, is_async=False) == threading.get_ident()
    assert await run_in_thread(threading.get_ident) != threading.get_ident()
