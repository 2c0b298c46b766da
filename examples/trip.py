"""A small agent with two tools, on a model that is a script: no key, no network, the same answers every time.

Try it: `replay run examples/trip.py:trip_agent "Weather in Paris?"`
"""

import re
from dataclasses import dataclass

from agentrun import Agent, RunContext
from agentrun.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from agentrun.models.function import AgentInfo, FunctionModel


@dataclass
class Weather:
    """What the weather service says of a city."""

    sky: str
    celsius: float


def plan(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Stand in for a model: look up what the prompt speaks of, then answer with what the tools said."""
    results = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    if results:
        return ModelResponse(parts=[TextPart(' '.join(sentence(result) for result in results))])
    prompts = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)]
    words = re.findall(r'\w+', str(prompts[-1]))
    calls = [ToolCallPart('get_weather', {'city': word}) for word in words if word in FORECAST]
    if 'ticket' in words:
        calls.append(ToolCallPart('open_ticket', {'subject': str(prompts[-1])}))
    return ModelResponse(parts=calls or [TextPart('Which city?')])


def sentence(result: ToolReturnPart) -> str:
    """Put one tool result into words."""
    if isinstance(result.content, Weather):
        return f'{result.content.sky}, {result.content.celsius:g} degrees.'
    return f'Ticket {result.content}.'


FORECAST = {'Paris': Weather('Sunny', 21.0), 'Rome': Weather('Cloudy', 18.5)}

trip_agent = Agent(
    FunctionModel(plan, model_name='trip-script'),
    deps_type=int,
    name='trip_agent',
    instructions='Answer briefly. Use the tools.',
)


@trip_agent.tool_plain
async def get_weather(city: str) -> Weather:
    """Weather of a city."""
    print(f'(get_weather runs: {city})')
    return FORECAST[city]


@trip_agent.tool
def open_ticket(ctx: RunContext[int], subject: str) -> str:
    """Open a ticket and give its number."""
    print(f'(open_ticket runs: {subject})')
    return f'T-{ctx.run_step}-{len(subject)}'
