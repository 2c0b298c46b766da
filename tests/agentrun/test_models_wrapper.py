"""A model around a model: what it passes on, and what a subclass changes."""

import copy
import pickle
from typing import Any

import pytest

from agentrun import Agent, ModelMessage, ModelRequest, ModelResponse, ModelSettings, TextPart, UserError
from agentrun.messages import FinalResultEvent, PartEndEvent, PartStartEvent
from agentrun.models import ModelRequestParameters
from agentrun.models.test import TestModel
from agentrun.models.wrapper import WrapperModel
from agentrun.profiles import ModelProfile

pytestmark = pytest.mark.anyio

ASKED: list[ModelMessage] = [ModelRequest.user_text_prompt('go')]


class Loud(WrapperModel):
    """Answers louder than the model inside."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        response = await super().request(messages, model_settings, model_request_parameters)
        return ModelResponse(parts=[TextPart(f'{response.text}!'.upper())])


def test_a_wrapper_is_in_all_that_is_asked_of_it_the_model_inside():
    inside = TestModel(settings={'seed': 1}, profile=ModelProfile(supports_tools=False))
    wrapper = WrapperModel(inside)
    assert (wrapper.model_name, wrapper.system, wrapper.settings) == ('test', 'test', {'seed': 1})
    assert wrapper.profile is inside.profile
    assert wrapper.last_model_request_parameters is None
    assert repr(wrapper) == f'WrapperModel(wrapped={inside!r})'


async def test_a_request_reaches_the_model_inside():
    wrapper = WrapperModel(TestModel(custom_output_text='inside'))
    assert (await wrapper.request(ASKED, None, ModelRequestParameters())).text == 'inside'


async def test_a_stream_is_that_of_the_model_inside():
    wrapper = WrapperModel(TestModel(custom_output_text='one'))
    async with wrapper.request_stream(ASKED, None, ModelRequestParameters()) as stream:
        kinds = [type(event) async for event in stream]
    assert (kinds[:2], kinds[-1]) == ([PartStartEvent, FinalResultEvent], PartEndEvent)
    assert stream.get().text == 'one'


async def test_a_subclass_changes_what_a_run_sees():
    result = await Agent(Loud(TestModel(custom_output_text='hi'))).run('go')
    assert result.output == 'HI!'


def test_parameters_are_made_ready_by_the_model_inside():
    class Preparing(TestModel):
        def customize_request_parameters(self, model_request_parameters: Any) -> Any:
            return ModelRequestParameters(output_mode='prompted')

    wrapper = WrapperModel(Preparing(settings={'seed': 1}))
    assert wrapper.customize_request_parameters(ModelRequestParameters()).output_mode == 'prompted'
    settings, parameters = wrapper.prepare_request({'temperature': 0.5}, ModelRequestParameters())
    assert (settings, parameters.output_mode) == ({'seed': 1, 'temperature': 0.5}, 'prompted')


def test_a_wrapped_model_may_be_given_by_name():
    assert isinstance(WrapperModel('test').wrapped, TestModel)
    with pytest.raises(UserError, match='Unknown model: nope'):
        WrapperModel('nope')


def test_an_attribute_that_neither_has_is_missing_from_the_model_inside():
    with pytest.raises(AttributeError, match="'TestModel' object has no attribute 'nope'"):
        _ = WrapperModel(TestModel()).nope


def test_wrappers_can_be_copied_and_pickled():
    wrapper = WrapperModel(TestModel(custom_output_text='x'))
    assert copy.copy(wrapper).wrapped is wrapper.wrapped
    assert pickle.loads(pickle.dumps(wrapper)).custom_output_text == 'x'


async def test_tokens_are_not_counted_by_the_model_inside():
    with pytest.raises(NotImplementedError) as raised:
        await WrapperModel(TestModel()).count_tokens(ASKED, None, ModelRequestParameters())
    assert str(raised.value) == 'Token counting ahead of the request is not supported by WrapperModel'
