"""Picks the agent libraries whose runs are recorded and replayed."""

from replay.adapters._protocol import Conductor, Host, Played, RunConductor, Started

__all__ = ('Conductor', 'Host', 'Played', 'RunConductor', 'Started', 'hosts')


def hosts() -> tuple[Host, ...]:
    """The hosts for the agent libraries that are there, imported now and not before."""
    from replay.adapters._pydantic_ai_host import PydanticAiHost
    from replay.adapters.agentrun import AgentrunHost

    usual = AgentrunHost()
    return (usual, PydanticAiHost(usual))
