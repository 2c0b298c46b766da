import pytest

from agentrun.graph import BaseNode, End, GraphRunContext

pytestmark = pytest.mark.anyio


class Halve(BaseNode[list[int], None, int]):
    """Halves a number until it is odd."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def run(self, ctx: GraphRunContext[list[int], None]) -> BaseNode[list[int], None, int] | End[int]:
        ctx.state.append(self.number)
        return End(self.number) if self.number % 2 else Halve(self.number // 2)


async def test_nodes_share_a_state_and_lead_to_an_end():
    ctx = GraphRunContext[list[int], None](state=[], deps=None)
    node: BaseNode[list[int], None, int] | End[int] = Halve(12)
    while isinstance(node, BaseNode):
        node = await node.run(ctx)
    assert (node, ctx.state) == (End(3), [12, 6, 3])


def test_a_node_has_to_say_how_it_runs():
    with pytest.raises(TypeError, match='abstract'):
        BaseNode()  # pyright: ignore[reportAbstractUsage]


def test_ends_and_contexts_show_themselves():
    assert repr(End(1)) == 'End(data=1)'
    assert repr(GraphRunContext(state=1, deps=None)) == 'GraphRunContext(state=1, deps=None)'
