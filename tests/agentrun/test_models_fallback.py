"""Several models as one: who is asked after whom, and what is raised if nobody answers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentrun import Agent, FallbackExceptionGroup, ModelAPIError, ModelHTTPError, ModelMessage, ModelRequest, UserError
from agentrun.models import Model, ModelRequestParameters
from agentrun.models.fallback import FallbackModel
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.models.test import TestModel
from agentrun.output import NativeOutput
from agentrun.profiles import ModelProfile

pytestmark = pytest.mark.anyio

ASKED: list[ModelMessage] = [ModelRequest.user_text_prompt('go')]
TEXT = ModelRequestParameters()
DOWN = ModelHTTPError(503, 'first', 'down')
GOOD = TestModel(custom_output_text='good')


def failing(error: Exception, name: str = 'failing') -> Model:
    """A model whose requests fail, streamed or not."""

    async def fail(messages: list[ModelMessage], info: AgentInfo) -> Any:
        raise error

    async def fail_to_stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise error
        yield 'never'

    return FunctionModel(fail, stream_function=fail_to_stream, model_name=name)


def is_mine(error: Exception) -> bool:
    return 'mine' in str(error)


class Broken(TestModel):
    """A model whose streams break in the middle, and that notes what they were left with."""

    left_with: BaseException | None = None

    @asynccontextmanager
    async def request_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        try:
            async with super().request_stream(*args, **kwargs) as stream:
                yield stream
        except BaseException as error:
            self.left_with = error
            raise


async def test_the_first_model_answers_if_it_can():
    model = FallbackModel(TestModel(custom_output_text='first'), failing(DOWN))
    assert (await model.request(ASKED, None, TEXT)).text == 'first'


async def test_the_next_model_is_asked_where_one_fails():
    result = await Agent(FallbackModel(failing(DOWN), failing(DOWN), GOOD)).run('go')
    assert result.output == 'good'


async def test_the_next_model_is_asked_where_a_stream_does_not_begin():
    async with FallbackModel(failing(DOWN), GOOD).request_stream(ASKED, None, TEXT) as stream:
        assert [event async for event in stream]
    assert stream.get().text == 'good'


async def test_an_error_inside_the_scope_of_a_stream_goes_to_the_model_that_streams():
    model = Broken(custom_output_text='x')
    with pytest.raises(ModelHTTPError) as raised:
        async with FallbackModel(model, GOOD).request_stream(ASKED, None, TEXT):
            raise DOWN
    assert raised.value is DOWN
    assert model.left_with is DOWN


async def test_where_all_fail_their_errors_come_as_a_group():
    errors = [ModelHTTPError(500, 'one'), ModelAPIError('two', 'gone')]
    model = FallbackModel(*map(failing, errors))
    with pytest.raises(FallbackExceptionGroup) as raised:
        await model.request(ASKED, None, TEXT)
    assert raised.value.message == 'All models from FallbackModel failed'
    assert list(raised.value.exceptions) == errors
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    with pytest.raises(FallbackExceptionGroup):
        async with model.request_stream(ASKED, None, TEXT):
            pytest.fail('no stream began')


async def test_any_other_error_is_raised_at_once():
    with pytest.raises(ValueError, match='mine'):
        await FallbackModel(failing(ValueError('mine')), GOOD).request(ASKED, None, TEXT)


@pytest.mark.parametrize('fallback_on', [(ValueError,), is_mine])
async def test_users_say_which_errors_to_fall_back_on(fallback_on: Any):
    model = FallbackModel(failing(ValueError('mine')), GOOD, fallback_on=fallback_on)
    assert (await model.request(ASKED, None, TEXT)).text == 'good'
    other = FallbackModel(failing(KeyError('other')), GOOD, fallback_on=fallback_on)
    with pytest.raises(KeyError):
        await other.request(ASKED, None, TEXT)


async def test_what_a_model_does_not_support_is_seen_before_it_is_asked():
    class Careless(TestModel):
        async def request(self, *args: Any, **kwargs: Any) -> Any:
            pytest.fail('asked')

    model = FallbackModel(Careless(profile=ModelProfile(supports_json_schema_output=False)), GOOD)
    with pytest.raises(UserError, match='Native structured output is not supported by this model'):
        await Agent(model, output_type=NativeOutput(int)).run('go')


async def test_each_model_uses_its_own_settings():
    seen: list[Any] = []

    async def note(messages: list[ModelMessage], info: AgentInfo) -> Any:
        seen.append(info.model_settings)
        raise DOWN

    first, second = FunctionModel(note, settings={'seed': 1}), FunctionModel(note, settings={'seed': 2})
    with pytest.raises(FallbackExceptionGroup):
        await Agent(FallbackModel(first, second)).run('go', model_settings={'temperature': 0.5})
    assert seen == [{'seed': 1, 'temperature': 0.5}, {'seed': 2, 'temperature': 0.5}]


def test_name_and_provider_tell_all_models():
    class Placed(TestModel):
        @property
        def base_url(self) -> str:
            return 'https://here.test'

    model = FallbackModel(Placed(model_name='a'), 'test')
    assert (model.model_name, model.system) == ('fallback:a,test', 'fallback:test,test')
    assert (model.base_url, model.settings) == ('https://here.test', None)
    assert repr(FallbackModel(GOOD)) == f'FallbackModel(models=[{GOOD!r}])'


def test_there_is_no_profile_of_several_models():
    model = FallbackModel(GOOD)
    with pytest.raises(NotImplementedError) as raised:
        _ = model.profile
    assert str(raised.value) == 'FallbackModel does not have its own model profile.'
    assert model.customize_request_parameters(TEXT) is TEXT
    assert model.prepare_request(None, TEXT) == (None, TEXT)
