"""The examples of the AgentRun documentation of pydantic-ai 1.38, with another import and a scripted model."""

import re
from textwrap import dedent
from typing import Any

import anyio
import pytest

NODES = (
    "[UserPromptNode(user_prompt='What is the capital of France?', instructions_functions=[], system_prompts=(), "
    'system_prompt_functions=[], system_prompt_dynamic_functions={}), '
    "ModelRequestNode(request=ModelRequest(parts=[UserPromptPart(content='What is the capital of France?', "
    "timestamp=datetime.datetime(...))], timestamp=datetime.datetime(...), run_id='...')), "
    "CallToolsNode(model_response=ModelResponse(parts=[TextPart(content='The capital of France is Paris.')], "
    "usage=RequestUsage(input_tokens=56, output_tokens=7), model_name='gpt-4o', timestamp=datetime.datetime(...), "
    "run_id='...')), "
    "End(data=FinalResult(output='The capital of France is Paris.'))]"
)
ANSWER = 'The capital of France is Paris.'

BY_LOOP = """
    from agentrun import Agent

    agent = Agent(gpt_4o)

    async def main():
        nodes = []
        # Iterate through the run, recording each node along the way:
        async with agent.iter('What is the capital of France?') as agent_run:
            async for node in agent_run:
                nodes.append(node)
        print(nodes)
        print(agent_run.result.output)
"""

BY_NEXT = """
    from agentrun import Agent
    from agentrun import End

    agent = Agent(gpt_4o)

    async def main():
        async with agent.iter('What is the capital of France?') as agent_run:
            next_node = agent_run.next_node  # start with the first node
            nodes = [next_node]
            while not isinstance(next_node, End):
                next_node = await agent_run.next(next_node)
                nodes.append(next_node)
            # Once `next_node` is an End, we've finished:
            print(nodes)
            print('Final result:', agent_run.result.output)
"""

BY_NEXT_OF_A_NODE = """
    from agentrun import Agent
    from agentrun.graph import End

    agent = Agent(gpt_4o)

    async def main():
        async with agent.iter('What is the capital of France?') as agent_run:
            node = agent_run.next_node
            all_nodes = [node]
            # Drive the iteration manually:
            while not isinstance(node, End):
                node = await agent_run.next(node)
                all_nodes.append(node)
            print(all_nodes)
"""

INSPECTED = """
    from agentrun import Agent, CallToolsNode, ModelRequestNode, UserPromptNode

    agent = Agent(gpt_4o)

    async def main():
        async with agent.iter('What is the capital of Spain?') as agent_run:
            async for node in agent_run:
                if Agent.is_user_prompt_node(node):
                    print('user prompt', node.user_prompt)
                elif Agent.is_model_request_node(node):
                    print('request', [part.content for part in node.request.parts], agent_run.usage())
                elif Agent.is_call_tools_node(node):
                    print('response', node.model_response.text, agent_run.usage())
                elif Agent.is_end_node(node):
                    assert agent_run.result.output == node.data.output
                    print('end', node.data.output, agent_run)
"""

MODIFIED = """
    from agentrun import Agent, CallToolsNode
    from agentrun.messages import ModelResponse, TextPart

    agent = Agent(gpt_4o)

    async def main():
        async with agent.iter('What is the capital of Spain?') as agent_run:
            first = agent_run.next_node
            first.user_prompt = 'What is the capital of Italy?'
            request = await agent_run.next(first)
            print(request.request.parts[0].content)
            # the model is skipped, and answered for
            end = await agent_run.next(CallToolsNode(ModelResponse(parts=[TextPart('Rome')])))
            print(end)
            print(len(asked), agent_run.result.output)
"""

OLDER = """
    import warnings
    from agentrun import Agent

    def noted(call):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            value = call()
        print([(w.category.__name__, str(w.message)) for w in caught])
        return value

    async def main():
        agent = noted(lambda: Agent(gpt_4o, result_type=str))
        result = await agent.run('What is the capital of France?')
        print(noted(lambda: result.data))
        async with agent.iter('What is the capital of France?') as agent_run:
            async for node in agent_run:
                pass
        print(noted(lambda: node.data.data))
"""


@pytest.fixture
def show(anyio_backend: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs an example and gives what it prints, clock readings and ids as the documentation prints them."""

    def run(source: str) -> str:
        from agentrun.messages import ModelResponse, TextPart
        from agentrun.models.function import FunctionModel
        from agentrun.usage import RequestUsage

        asked: list[object] = []

        def answer(messages: Any, info: Any) -> ModelResponse:
            asked.append(messages)
            return ModelResponse(parts=[TextPart(ANSWER)], usage=RequestUsage(input_tokens=56, output_tokens=7))

        names: dict[str, Any] = {'gpt_4o': FunctionModel(answer, model_name='gpt-4o'), 'asked': asked}
        exec(compile(dedent(source), 'example.py', 'exec'), names)
        anyio.run(names['main'], backend=anyio_backend)
        text = re.sub(r'datetime\.datetime\([^()]*\)', 'datetime.datetime(...)', capsys.readouterr().out)
        return re.sub(r"run_id='[0-9a-f-]{36}'", "run_id='...'", text)

    return run


def test_a_loop_collects_the_nodes(show: Any):
    assert show(BY_LOOP) == f'{NODES}\n{ANSWER}\n'


def test_next_drives_the_run_from_node_to_node(show: Any):
    assert show(BY_NEXT) == f'{NODES}\nFinal result: {ANSWER}\n'


def test_end_is_found_in_the_module_of_the_graph_too(show: Any):
    assert show(BY_NEXT_OF_A_NODE) == f'{NODES}\n'


def test_nodes_can_be_inspected_on_the_way(show: Any):
    assert show(INSPECTED) == (
        'user prompt What is the capital of Spain?\n'
        "request ['What is the capital of Spain?'] RunUsage()\n"
        f'response {ANSWER} RunUsage(input_tokens=56, output_tokens=7, requests=1)\n'
        f"end {ANSWER} <AgentRun result='{ANSWER}' "
        'usage=RunUsage(input_tokens=56, output_tokens=7, requests=1)>\n'
    )


def test_nodes_can_be_modified_and_skipped(show: Any):
    assert show(MODIFIED) == ("What is the capital of Italy?\nEnd(data=FinalResult(output='Rome'))\n0 Rome\n")


def test_older_names_work_and_name_the_new_ones(show: Any):
    assert show(OLDER) == (
        "[('DeprecationWarning', '`result_type` is deprecated, use `output_type` instead')]\n"
        f"[('DeprecationWarning', '`AgentRunResult.data` is deprecated, use `output` instead')]\n{ANSWER}\n"
        f"[('DeprecationWarning', '`FinalResult.data` is deprecated, use `output` instead')]\n{ANSWER}\n"
    )
