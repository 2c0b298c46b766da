from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import override

from agentrun._output import BaseOutputProcessor, OutputSchema, OutputToolset, build_instructions
from agentrun.exceptions import UserError
from agentrun.messages import BinaryImage
from agentrun.output import NativeOutput, OutputObjectDefinition, PromptedOutput, TextOutput, ToolOutput
from agentrun.tools import DeferredToolRequests, RunContext

pytestmark = pytest.mark.anyio


class Foo(BaseModel):
    a: int


class Bar(BaseModel):
    b: int


def length(text: str) -> int:
    return len(text)


def tools_of(schema: OutputSchema[Any]) -> list[str]:
    return list(schema.toolset.processors) if schema.toolset else []


@pytest.mark.parametrize(
    ('spec', 'mode', 'text', 'tools'),
    [
        (str, 'text', True, []),
        (TextOutput(length), 'text', True, []),
        (Foo, 'auto', True, ['final_result']),
        ([Foo, Bar], 'auto', True, ['final_result_Foo', 'final_result_Bar']),
        (Foo | Bar, 'auto', True, ['final_result_Foo', 'final_result_Bar']),
        ([[Foo], Bar | int], 'auto', True, ['final_result_Foo', 'final_result_Bar', 'final_result_int']),
        ([str, Foo], 'tool', True, ['final_result']),
        (ToolOutput(Foo, name='foo'), 'tool', False, ['foo']),
        ([ToolOutput(Foo), Bar], 'tool', False, ['final_result_Foo', 'final_result_Bar']),
        (NativeOutput([Foo, Bar]), 'native', True, []),
        (PromptedOutput(Foo), 'prompted', True, []),
        (BinaryImage, 'image', False, []),
    ],
)
def test_the_outputs_decide_how_the_model_is_asked(spec: Any, mode: str, text: bool, tools: list[str]):
    schema = OutputSchema[Any].build(spec)
    assert (schema.mode, schema.allows_text, tools_of(schema)) == (mode, text, tools)
    assert (schema.object_def is not None) is (mode in {'auto', 'native', 'prompted'})


@pytest.mark.parametrize('spec', [str, Foo, NativeOutput(Foo)])
def test_deferred_calls_and_images_stand_beside_any_output(spec: Any):
    schema = OutputSchema[Any].build([spec, DeferredToolRequests, BinaryImage])
    assert (schema.allows_deferred_tools, schema.allows_image) == (True, True)
    plain = OutputSchema[Any].build(spec)
    assert (plain.allows_deferred_tools, plain.allows_image) == (False, False)
    assert schema.mode == plain.mode


def test_a_template_is_kept():
    assert OutputSchema[Any].build(PromptedOutput(Foo, template='{schema}')).template == '{schema}'
    assert OutputSchema[Any].build(NativeOutput(Foo)).template is None


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ([], 'At least one output type must be provided.'),
        (DeferredToolRequests, 'At least one output type must be provided other than `DeferredToolRequests`.'),
        ([str, TextOutput(length)], 'Only one `str` or `TextOutput` is allowed.'),
        ([NativeOutput(Foo), Bar], '`NativeOutput` must be the only output type.'),
        (
            PromptedOutput([Foo, BinaryImage]),
            (
                '`PromptedOutput` cannot contain `BinaryImage`. Include it alongside the prompted output marker '
                'instead: `output_type=[PromptedOutput(...), BinaryImage]`'
            ),
        ),
    ],
)
def test_outputs_that_do_not_go_together_are_refused(spec: Any, message: str):
    with pytest.raises(UserError) as caught:
        OutputSchema[Any].build(spec)
    assert str(caught.value) == message


def test_a_schema_can_be_made_of_processors_of_another_making():
    class Recorded(BaseOutputProcessor[Any]):
        @override
        async def process(
            self,
            data: str,
            *,
            run_context: RunContext[Any],
            allow_partial: bool = False,
            wrap_validation_errors: bool = True,
        ) -> Any:
            return data

    toolset = OutputToolset[Any]([], {})
    schema = OutputSchema[Any](mode='tool', text_processor=Recorded(), toolset=toolset, allows_deferred_tools=True)
    assert schema.allows_text
    assert (schema.toolset, schema.object_def, schema.allows_image) == (toolset, None, False)


@pytest.mark.parametrize(
    ('template', 'text'),
    [
        ('Do {schema} so.', 'Do {"type": "object", "title": "N", "description": "Ä"} so.'),
        ('Do so.', 'Do so.\n\n{"type": "object", "title": "N", "description": "Ä"}'),
    ],
)
def test_instructions_hold_the_schema_with_name_and_description(template: str, text: str):
    definition = OutputObjectDefinition({'type': 'object'}, 'N', 'Ä')
    assert build_instructions(template, definition) == text.replace('Ä', '\\u00c4')
    assert definition.json_schema == {'type': 'object'}


def test_instructions_without_name_hold_the_schema_alone():
    assert build_instructions('{schema}', OutputObjectDefinition({'type': 'object'})) == '{"type": "object"}'
