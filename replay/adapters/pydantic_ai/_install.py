"""The hooks: `Agent.iter`, the graph of each run, and nodes that are streamed, replaced while a session is open."""

import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Any, cast

from pydantic_ai import models
from pydantic_ai._agent_graph import CallToolsNode, ModelRequestNode
from pydantic_ai.agent import Agent, AgentRun
from pydantic_ai.result import StreamedRunResult
from pydantic_graph import BaseNode

from replay.adapters._protocol import Conductor, Started
from replay.adapters.agentrun._calls import within
from replay.adapters.pydantic_ai._clock import logical_readings, reading
from replay.adapters.pydantic_ai._compat import HookMissing, has_capabilities, installed_version
from replay.adapters.pydantic_ai._holds import holding
from replay.adapters.pydantic_ai._model import taped, wrapping
from replay.adapters.pydantic_ai._runs import TapedRun, current, run_of
from replay.adapters.pydantic_ai._toolsets import approved_calls
from replay.adapters.pydantic_ai._wire import deferred_json, message_json, prompt_json, table_name

__all__ = ('hooked',)


@contextmanager
def hooked(conductor: Conductor) -> Generator[None]:
    """Ask `conductor` about each run that starts while the block is open, with logical readings.

    Blocks may overlap: the latest conductor is asked, and the hooks stand as long as any block is open.

    Raises:
        HookMissing: If timestamps do not come from the replaced clock.
    """
    _conductors.append(conductor)
    try:
        if len(_conductors) == 1:
            _standing.enter_context(logical_readings())
            _standing.callback(_take_down)
            _put_up()
        yield
    finally:
        _conductors.remove(conductor)
        if not _conductors:
            _standing.close()


_conductors: list[Conductor] = []
_standing = ExitStack()
_originals: list[tuple[Any, str, Any]] = []


def _put_up() -> None:
    for owner, name, make in (
        (Agent, 'iter', _iter),
        (Agent, '__aenter__', _entering),
        (ModelRequestNode, 'stream', _stream),
        (CallToolsNode, 'stream', _stream),
        (StreamedRunResult, '__init__', _streamed_result),
    ):
        original = owner.__dict__[name]
        _originals.append((owner, name, original))
        setattr(owner, name, make(original))


def _take_down() -> None:
    while _originals:
        owner, name, original = _originals.pop()
        setattr(owner, name, original)


def _iter(original: Callable[..., Any]) -> Callable[..., Any]:
    def iter(self: Any, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Any]:  # noqa: A001, the name it stands for
        name = self.name or (_inferred(self) if kwargs.get('infer_name', True) else None)
        return _Block(self, name, original, args, kwargs)

    cast('Any', iter).__wrapped__ = original  # whose signature it shows, to those who ask
    iter.__doc__ = original.__doc__
    return iter


def _entering(original: Callable[..., Any]) -> Callable[..., Any]:
    async def __aenter__(self: Any) -> Any:  # noqa: N807, the name it stands for
        with holding(self):
            return await original(self)

    return __aenter__


def _inferred(agent: Any) -> str | None:
    """The name that the agent has where its block is opened, without giving it to the agent."""
    frame = inspect.currentframe()
    agent._infer_name(frame and frame.f_back)  # noqa: SLF001, as its own methods do
    name, agent.name = agent.name, None
    return name


class _Block(AbstractAsyncContextManager[Any]):
    """The block in which a run lives.

    Args:
        agent: The agent.
        name: Its name.
        original: The library's own `iter`.
        args: What it is called with.
        kwargs: The same, by name.
    """

    def __init__(
        self, agent: Any, name: str | None, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._agent = agent
        self._name = name
        self._iter = original
        self._args = args
        self._kwargs = kwargs
        self._run: TapedRun | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Any:
        self._run = self._taken_on()
        try:
            return await self._entered()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        left = error
        try:
            return await self._stack.__aexit__(kind, error, trace)
        except BaseException as inner:
            left = inner
            raise
        finally:
            if self._run is not None:
                run, self._run = self._run, None
                run.finished(left)

    async def _entered(self) -> AgentRun[Any, Any]:
        run = self._run
        if run is None:
            return await self._stack.enter_async_context(self._iter(self._agent, *self._args, **self._kwargs))
        self._stack.enter_context(reading(run.readings))
        self._stack.enter_context(_being(run))
        with ExitStack() as given:
            kwargs = given.enter_context(run.tools.given(self._agent, self._kwargs))
            model = self._model()
            if model is None:  # a capability selects one for each request, unless the library says what is wrong
                kwargs = {**kwargs, 'capabilities': [*(kwargs.get('capabilities') or ()), wrapping(run)]}
            else:
                run.serving = taped(model, run)
                given.enter_context(self._agent.override(model=run.serving))
            agent_run = await self._stack.enter_async_context(self._iter(self._agent, *self._args, **kwargs))
        run.begun(_watched(agent_run, run))
        return agent_run

    def _model(self) -> models.Model | str | None:
        """The model that the run asks: that of a test's `override`, of the call, or of the agent; None: selected."""
        override = self._agent._override_model.get()  # noqa: SLF001, there is no public way to ask
        model = override.value if override else self._kwargs.get('model') or self._agent.model
        if model is None:
            return None if has_capabilities() else ''  # the library says what is wrong
        return model if self._run is not None and self._run.replaying else models.infer_model(model)

    def _taken_on(self) -> TapedRun | None:
        """Ask the conductor about the run."""
        call, kwargs = within.get(), self._kwargs
        prompt = self._args[0] if self._args else kwargs.get('user_prompt')
        history = kwargs.get('message_history') or ()
        strategy = str(getattr(self._agent, 'end_strategy', 'early'))
        started = Started(
            agent=self._name,
            within=None if call is None else (call.run, call.tool),
            prompt=prompt_json(prompt),
            history=lambda: list(map(message_json, history)),
            facts={} if strategy == 'early' else {'end_strategy': strategy},
            by=f'pydantic-ai {installed_version()}',
            wire=table_name(),
        )
        conductor = _conductors[-1].start(started)
        if conductor is None:
            return None
        results = kwargs.get('deferred_tool_results')
        return TapedRun(
            conductor,
            prompt=started.prompt,
            deferred=deferred_json(results),
            call=call,
            approved=approved_calls(results),
        )


@contextmanager
def _being(run: TapedRun) -> Generator[None]:
    token = current.set(run)
    try:
        yield
    finally:
        with suppress(ValueError):  # left in another context than it was entered in, where it is not set
            current.reset(token)


# -- nodes


def _watched(agent_run: Any, run: TapedRun) -> Any:
    """Let the run see each node that the graph of a run comes to."""
    graph_run = getattr(agent_run, '_graph_run', None)
    if graph_run is None:
        raise HookMissing('AgentRun._graph_run', 'no such attribute')
    graph_run.__class__ = _watching(cast('Any', type(graph_run)))
    graph_run.replay_run = run
    return graph_run


@cache
def _watching(kind: Any) -> Any:
    """The class of a graph's run that tells of its steps. Every way to drive a run comes through `__anext__`."""

    async def __anext__(self: Any) -> Any:  # noqa: N807, the name it stands for
        return await _step(self, lambda: kind.__anext__(self))

    return type(kind.__name__, (kind,), {'__anext__': __anext__, '__module__': kind.__module__})


async def _step(graph_run: Any, advance: Callable[[], Any]) -> Any:
    run: TapedRun = graph_run.replay_run
    with reading(run.readings), _being(run):
        node = _due(graph_run)
        if node is not None:
            await run.runs(node)
        try:
            following = await advance()
        except BaseException as error:
            run.broken_off(error)
            raise
        finally:
            run.ran()
        if graph_run.output is not None:
            await run.ended()
        return following


def _due(graph_run: Any) -> object:
    """The node that the next step runs; None if it runs none of the agent's."""
    started = graph_run._next is not None  # noqa: SLF001, before the first step `next_task` tells of a node, too
    task = graph_run.next_task
    if not started or not isinstance(task, list | tuple) or graph_run._iterator.ag_frame is None:  # noqa: SLF001
        return None
    node = cast('Any', task[0]).inputs
    return cast('object', node) if isinstance(node, BaseNode) else None


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: Any, ctx: Any) -> Any:
        run = run_of(ctx)
        return original(self, ctx) if run is None else _Streaming(run, self, lambda: original(self, ctx))

    stream.__doc__ = original.__doc__
    return stream


class _Streaming(AbstractAsyncContextManager[Any]):
    """The block in which a node streams.

    Args:
        run: Its run.
        node: The node.
        open: Makes the library's own block.
    """

    def __init__(self, run: TapedRun, node: object, open: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._run = run
        self._node = node
        self._open = open
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Any:
        await self._run.streams(self._node)
        self._stack.enter_context(reading(self._run.readings))
        try:
            return await self._stack.enter_async_context(self._open())
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._run.broken_off(error)
        return await self._stack.__aexit__(kind, error, trace)


def _streamed_result(original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807, the name it stands for
        original(self, *args, **kwargs)
        run = current.get()
        if run is not None:
            run.result_messages = self.all_messages

    return __init__
