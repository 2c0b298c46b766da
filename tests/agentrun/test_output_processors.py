import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from agentrun._output import BaseOutputProcessor, ObjectOutputProcessor, OutputValidator, TextOutputProcessor
from agentrun._output._processors import TextFunctionOutputProcessor, UnionOutputProcessor, free_name
from agentrun.exceptions import ModelRetry, ToolRetryError, UserError
from agentrun.messages import RetryPromptPart
from agentrun.tools import RunContext
from tests.tool_helpers import run_context

pytestmark = pytest.mark.anyio


class Foo(BaseModel):
    a: int


class Told(Foo):
    """A foo."""


class Bar(BaseModel):
    b: str


def positive(foo: Foo) -> int:
    if foo.a < 0:
        raise ModelRetry('not below zero')
    return foo.a


async def process(processor: BaseOutputProcessor[Any], text: str, **options: Any) -> Any:
    return await processor.process(text, run_context=run_context(), **options)


async def retry_of(outcome: Awaitable[Any]) -> RetryPromptPart:
    with pytest.raises(ToolRetryError) as caught:
        await outcome
    part = caught.value.tool_retry
    assert isinstance(part, RetryPromptPart)
    return part


async def test_text_is_the_output():
    assert await process(TextOutputProcessor[Any](), 'some text') == 'some text'


async def test_a_function_makes_the_output_of_text():
    def count(ctx: RunContext[Any], text: str) -> tuple[int, int]:
        return len(text), ctx.run_step

    assert await process(TextFunctionOutputProcessor(count), 'abc') == (3, 1)


async def test_a_text_function_may_ask_for_a_retry():
    def refuse(text: str) -> str:
        raise ModelRetry(f'not {text}')

    part = await retry_of(process(TextFunctionOutputProcessor(refuse), 'abc'))
    assert (part.content, part.tool_name) == ('not abc', None)
    with pytest.raises(ModelRetry):
        await process(TextFunctionOutputProcessor(refuse), 'abc', wrap_validation_errors=False)


def nothing() -> None: ...
def two(a: str, b: str) -> None: ...


@pytest.mark.parametrize('function', [nothing, two, positive])
def test_a_text_function_takes_one_text(function: Callable[..., Any]):
    with pytest.raises(UserError, match=r'^TextOutput must take a function taking a single `str` argument$'):
        TextFunctionOutputProcessor(function)


@pytest.mark.parametrize(
    'text', ['{"a": 1}', '```json\n{"a": 1}\n```', 'Here:\n```\n{"a": 1}\n```\nThere.', '```\n{"a":\n1}']
)
async def test_an_object_is_read_from_json_in_a_code_block_or_not(text: str):
    assert await process(ObjectOutputProcessor(Foo), text) == Foo(a=1)


async def test_an_object_of_a_stream_may_end_early():
    assert await process(ObjectOutputProcessor(Bar), '{"b": "x', allow_partial=True) == Bar(b='x')


async def test_loaded_json_is_taken_too():
    processor = ObjectOutputProcessor(Foo)
    assert await processor.process({'a': 1}, run_context=run_context()) == Foo(a=1)
    with pytest.raises(ValidationError):
        await processor.process(None, run_context=run_context(), wrap_validation_errors=False)


async def test_what_is_no_object_is_sent_inside_of_one():
    processor = ObjectOutputProcessor(list[int])
    assert processor.outer_typed_dict_key == 'response'
    assert await process(processor, '{"response": [1, "2"]}') == [1, 2]
    assert await process(processor, '{"response": "[1, 2]"}') == [1, 2]


async def test_wrong_text_is_told_with_the_context_of_the_errors():
    part = await retry_of(process(ObjectOutputProcessor(Foo), '{"a": '))
    assert part.tool_name is None
    assert isinstance(part.content, list)
    assert [sorted(error) for error in part.content] == [['ctx', 'input', 'loc', 'msg', 'type']]


async def test_an_output_function_makes_the_output_of_its_parameters():
    processor = ObjectOutputProcessor(positive)
    assert await process(processor, '{"a": 3}') == 3
    assert (await retry_of(process(processor, '{"a": -3}'))).content == 'not below zero'


async def test_a_retry_of_a_tool_call_answers_that_call():
    processor = ObjectOutputProcessor(positive)
    context = run_context(tool_name='final_result', tool_call_id='id')
    part = await retry_of(processor.call(Foo(a=-1), context))
    assert (part.tool_name, part.tool_call_id) == ('final_result', 'id')
    with pytest.raises(ModelRetry):
        await processor.call(Foo(a=-1), context, wrap_validation_errors=False)


async def test_the_model_chooses_among_several_by_name():
    processor = UnionOutputProcessor[Any]([Foo, Bar, Foo])
    assert await process(processor, '{"result": {"kind": "Bar", "data": {"b": "x"}}}') == Bar(b='x')
    assert await process(processor, '{"result": {"kind": "Foo_2", "data": {"a": 1}}}') == Foo(a=1)


async def test_a_choice_that_is_none_is_told():
    processor = UnionOutputProcessor[Any]([Foo, Bar])
    text = '{"result": {"kind": "Baz", "data": {}}}'
    assert (await retry_of(process(processor, text))).content == 'Invalid kind: Baz'
    with pytest.raises(KeyError, match='Baz'):
        await process(processor, text, wrap_validation_errors=False)


@pytest.mark.parametrize(('taken', 'free'), [([], 'a'), (['a'], 'a_2'), (['a', 'a_2'], 'a_3'), (['b'], 'a')])
def test_a_free_name_is_the_first_that_is_not_taken(taken: list[str], free: str):
    assert free_name('a', taken) == free


async def test_a_validator_may_take_the_context():
    def check(ctx: RunContext[Any], output: int) -> int:
        return output + ctx.run_step

    async def check_later(output: int) -> int:
        return output * 2

    assert await OutputValidator[Any, int](check).validate(3, run_context()) == 4
    assert await OutputValidator[Any, int](check_later).validate(3, run_context()) == 6


async def test_a_sync_validator_runs_in_another_thread():
    def check(_output: int) -> int:
        return threading.get_ident()

    assert await OutputValidator[Any, int](check).validate(3, run_context()) != threading.get_ident()


async def test_a_validator_may_ask_for_a_retry():
    def check(output: int) -> int:
        raise ModelRetry('other')

    validator = OutputValidator[Any, int](check)
    part = await retry_of(validator.validate(3, run_context()))
    assert (part.content, part.tool_name) == ('other', None)
    part = await retry_of(validator.validate(3, run_context(tool_name='t', tool_call_id='id')))
    assert (part.tool_name, part.tool_call_id) == ('t', 'id')
    with pytest.raises(ModelRetry):
        await validator.validate(3, run_context(), wrap_validation_errors=False)


def test_choices_have_the_name_and_the_description_of_their_output():
    json_schema = UnionOutputProcessor[Any]([Literal['a'], Told]).object_def.json_schema
    choices = json_schema['properties']['result']['anyOf']
    assert [choice['properties']['kind']['const'] for choice in choices] == ['Literal', 'Told']
    assert [(choice['title'], choice.get('description')) for choice in choices] == [
        ('Literal', None),
        ('Told', 'A foo.'),
    ]
