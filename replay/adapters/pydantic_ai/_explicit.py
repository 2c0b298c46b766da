"""Recording by wrapping, for code that nothing is to be replaced in: models that keep what they are asked.

A wrapped model sees requests and no runs. Those that go on from one of its answers are one run: it begins with a
request that does not, and is over when the session closes. Times and run ids of its requests are made logical in what
is kept; the messages of the agent itself keep their real ones.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from dataclasses import replace
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import Model, StreamedResponse, infer_model
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import RequestUsage

from replay import logical
from replay.adapters._protocol import Conductor, RunConductor, Started
from replay.adapters.agentrun._calls import Within, within
from replay.adapters.pydantic_ai._compat import installed_version
from replay.adapters.pydantic_ai._model import NamedModel, TapedModel
from replay.adapters.pydantic_ai._runs import Asked, TapedRun, current
from replay.adapters.pydantic_ai._wire import message_json, prompt_json, table_name
from replay.canon import Json
from replay.errors import ReplayError

__all__ = ('ExplicitRun', 'asking', 'is_asking', 'record_model', 'run_of_calls')


def record_model(model: Model | str, *, name: str | None = None) -> Model:
    """Wrap a model, so that sessions record and replay what it is asked, without any hook in the library.

    Hand it to an agent and open the session with `use_cassette(..., patch=False)`. Outside of sessions, and in runs
    that a session follows by hooks, it does what the model does.

    Args:
        model: The model, or its name, which is looked up when the model has to be asked.
        name: Name of the runs in the cassette; None: `agent`.

    Returns:
        The model to use in its place.
    """
    return _RecordedModel(NamedModel(model) if isinstance(model, str) else infer_model(model), name)


@contextmanager
def asking(conductor: Conductor) -> Generator[None]:
    """Ask `conductor` about requests of wrapped models while the block is open; then end the runs of its session."""
    _conductors.append(conductor)
    try:
        yield
    finally:
        _conductors.remove(conductor)
        for run in [one for one in _open_runs if one.is_closed]:
            _open_runs.remove(run)
            run.finished(run.error)


def is_asking() -> bool:
    """Whether any session is told of what wrapped models are asked."""
    return bool(_conductors)


def run_of_calls(messages: Sequence[ModelMessage]) -> 'ExplicitRun | None':
    """The run whose latest answer made the calls that are about to run; its tape is told that they are.

    Args:
        messages: The messages of the agent's run, the answer that makes the calls the last of its kind.
    """
    run = _going_on(messages)
    if run is not None:
        run.takes_up()
    return run


_conductors: list[Conductor] = []
_open_runs: list['ExplicitRun'] = []


class ExplicitRun(TapedRun):
    """The requests to a wrapped model that go on from each other.

    Args:
        conductor: What they are recorded into or replayed from.
        prompt: User prompt of the first one, as wire JSON.
        call: The tool call that they are made in, if there is one.
    """

    def __init__(self, conductor: RunConductor, *, prompt: Json, call: Within | None) -> None:
        super().__init__(conductor, prompt=prompt, deferred=None, call=call)
        self.given: ModelResponse | None = None
        """The latest answer, as the agent has it."""
        self.error: Exception | None = None
        """What the latest request failed with, if it did."""
        self._taken_up = False
        self._asked_of: str | None = None
        self._known: list[ModelMessage] = []
        self._plain: list[ModelMessage] = []
        self._first_new = 0
        self._requests = 0

    @property
    def is_closed(self) -> bool:
        """Whether its session is over."""
        try:
            self.conductor.check_open()
        except ReplayError:
            return True
        return False

    def goes_on(self, messages: Sequence[ModelMessage]) -> bool:
        """Whether messages go on from the latest answer of this run."""
        latest = next((one for one in reversed(messages) if isinstance(one, ModelResponse)), None)
        if latest is None or self.given is None or (latest is not self.given and latest.parts != self.given.parts):
            return False
        asked = messages[-1]
        if asked is latest is self.given:  # its calls run; a recorded answer has the id of the recorded run
            return True
        run_id = _run_id(asked)
        if run_id is not None and self._asked_of is not None:
            return run_id == self._asked_of
        return asked is latest or not any(isinstance(part, UserPromptPart) for part in asked.parts)

    def takes_up(self) -> None:
        """The latest answer is taken up."""
        if not self._taken_up:
            self._taken_up = True
            self.response = self.given
            self._go_on(self.tape.node('CallToolsNode'))

    def asks(self, messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        """Tell the tape that a request follows.

        Args:
            messages: What the model is sent.

        Returns:
            The same with logical times and ids.
        """
        if self.given is None and not self.tape.kinds:
            self._go_on(self.tape.node('UserPromptNode'))
            self._first_new = len(messages) - 1
        elif self.given is not None:
            self.takes_up()
        self._taken_up, self.given, self.error = False, None, None
        plain = self._made_plain(messages)
        self._asked_of = _run_id(messages[-1])
        self._request = cast('ModelRequest', plain[-1])
        self.tools.calls.close()
        self._go_on(self.tape.node('ModelRequestNode'))
        self._requests += 1
        return list(plain)

    def answered(self, response: ModelResponse) -> ModelResponse:
        """Take note of the answer that the agent gets."""
        self.given = self.response = response
        return response

    # -- private

    def _made_plain(self, messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        kept = 0
        for one, other in zip(messages, self._known, strict=False):
            if one is not other:
                break
            kept += 1
        fresh = [self._one_plain(message) for message in messages[kept:]]
        self._known = list(messages)
        self._plain = [*self._plain[:kept], *fresh]
        return self._plain

    def _one_plain(self, message: ModelMessage) -> ModelMessage:
        found = copy(message)
        for name, value in (
            ('run_id', logical.run_id(self.name)),
            ('conversation_id', logical.conversation_id(self.name)),
        ):
            # An answer has those of its request, which the library gives it late, or to another copy of it.
            if getattr(found, name, None) is not None or getattr(self._request, name, None) is not None:
                setattr(found, name, value)
        if isinstance(found, ModelRequest):
            before, now = logical.time(self._requests), logical.time(self._requests + 1)
            found.parts = [
                replace(cast('Any', part), timestamp=before) if hasattr(part, 'timestamp') else part
                for part in found.parts
            ]
            if getattr(found, 'timestamp', None) is not None:
                cast('Any', found).timestamp = now
        return found

    def _messages(self) -> tuple[list[ModelMessage], int]:
        last = [] if self.given is None else [self._one_plain(self.given)]
        return [*self._plain, *last], self._first_new


class _RecordedModel(WrapperModel):
    """A model that sessions record and replay.

    Args:
        model: The model.
        name: Name of its runs.
    """

    def __init__(self, model: Model, name: str | None) -> None:
        super().__init__(model)
        self._name = name

    async def request(self, messages: list[ModelMessage], *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer from the recording, or ask the model."""
        run = self._run(messages)
        if run is None:
            return await self.wrapped.request(messages, *args, **kwargs)
        with _noting_errors(run):
            return run.answered(await _AskedModel(self.wrapped, run).request(messages, *args, **kwargs))

    @asynccontextmanager
    async def request_stream(
        self, messages: list[ModelMessage], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[StreamedResponse]:
        """Let the recorded stream pass again, or the model's."""
        run = self._run(messages)
        model = self.wrapped if run is None else _AskedModel(self.wrapped, run)
        with _noting_errors(run):
            async with model.request_stream(messages, *args, **kwargs) as stream:
                yield stream
                if run is not None:
                    run.answered(stream.get())

    async def count_tokens(self, *args: Any, **kwargs: Any) -> RequestUsage:
        """Let the model count: nothing tells which request it counts for."""
        return await self.wrapped.count_tokens(*args, **kwargs)

    def _run(self, messages: Sequence[ModelMessage]) -> ExplicitRun | None:
        """The run that a request belongs to; None if nobody is to know of it, or hooks see it."""
        if not _conductors or current.get() is not None:
            return None
        return _going_on(messages) or self._begun(messages)

    def _begun(self, messages: Sequence[ModelMessage]) -> ExplicitRun | None:
        call = within.get()
        prompts = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)]
        started = Started(
            agent=self._name,
            within=None if call is None else (call.run, call.tool),
            prompt=prompt_json(prompts[-1]) if prompts else None,
            history=lambda: list(map(message_json, messages[:-1])),
            facts={},
            by=f'pydantic-ai {installed_version()}',
            wire=table_name(),
        )
        conductor = _conductors[-1].start(started)
        if conductor is None:
            return None
        run = ExplicitRun(conductor, prompt=started.prompt, call=call)
        run.serving = self
        _open_runs.append(run)
        return run


class _AskedModel(TapedModel):
    """The model for one request of a run."""

    def _asked(self, messages: list[ModelMessage], *args: Any, **kwargs: Any) -> Asked:
        run = cast('ExplicitRun', self._run)
        return replace(super()._asked(messages, *args, **kwargs), messages=run.asks(messages))


@contextmanager
def _noting_errors(run: ExplicitRun | None) -> Generator[None]:
    try:
        yield
    except Exception as error:
        if run is not None:
            run.error = error
        raise


def _going_on(messages: Sequence[ModelMessage]) -> ExplicitRun | None:
    """The run that messages go on from; of several that had the same answer, the one whose very answer it is."""
    found = [run for run in _open_runs if run.goes_on(messages)]
    exact = [run for run in found if any(message is run.given for message in messages)]
    return next(iter(exact or found), None)


def _run_id(message: ModelMessage) -> str | None:
    return getattr(message, 'run_id', None)
