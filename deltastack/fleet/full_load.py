"""What every cell of a draw is offered, and the goodput of one that is offered it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from deltastack.errors import CapacityError, OutOfValidityError
from deltastack.fleet import capacity, load_samples
from deltastack.fleet.once import Once
from deltastack.fleet.slo import objectives

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.fleet.capacity import Places
    from deltastack.fleet.load_samples import LoadSamples
    from deltastack.fleet.serving import Server, Simulated
    from deltastack.fleet.settings import Capacity, Goals
    from deltastack.fleet.simulator import Requests, Result
    from deltastack.fleet.slo import Objectives


MOST = 64
"""Simulations of a draw that are kept: some fifteen deployments by what decides when requests end, three of each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offered:
    """The trace and samples of it, with the goals of each request: those of the deployment with nothing switched on.

    What equal servers make of it is simulated once.
    """

    trace: Objectives
    load: LoadSamples
    reference: Server
    """That deployment, near whose goodput others are looked for."""
    _once: Once = field(default_factory=lambda: Once(MOST), repr=False)

    def at_trace(self, server: Server) -> Simulated:
        """What a server makes of the trace's own arrivals.

        Raises:
            DeltastackError: As ``Server.serve``.
        """
        found: Simulated = self._once.of(("trace", server.key), lambda: server.simulated(self.trace.requests))
        return found

    def full(self, server: Server) -> Simulated:
        """A server at its goodput.

        Raises:
            CapacityError: As ``goodput``.
        """
        found: Simulated = self._once.of(
            ("full", server.key), lambda: at_rate(self.load, server, capacity.rate_per_s(self._place(server)))
        )
        return found

    def _place(self, server: Server) -> float:
        """Of the goodput of a server, on the grid.

        Raises:
            CapacityError: As ``goodput``.
        """
        if server.key == self.reference.key:
            return self._near().full
        try:
            near = self._near()
        except CapacityError:
            near = capacity.ANYWHERE
        return places(self.load, server.result, near).full

    def _near(self) -> Places:
        found: Places = self._once.of("near", lambda: places(self.load, self.reference.result))
        return found


def offered(requests: Requests, goals: Goals, how: Capacity, reference: Server) -> Offered:
    """The trace and its samples.

    Args:
        requests: The trace.
        goals: Slack and share.
        how: How many requests and seeds.
        reference: The deployment with nothing switched on.
    """
    serve = reference.result
    load = load_samples.load_samples(requests, how, goals, serve)
    return Offered(trace=objectives(requests, goals, serve), load=load, reference=reference)


def at_rate(load: LoadSamples, server: Server, rate_per_s: float) -> Simulated:
    """What a server makes of the first sample at a rate, a piece of a stream without an end."""
    return server.simulated(load_samples.at(load.samples[0].requests, rate_per_s), rate_per_s)


def goodput(load: LoadSamples, serve: Callable[[Requests], Result]) -> float:
    """The largest rate [requests/s] at which enough requests of ``load`` meet their goals.

    Raises:
        CapacityError: As ``places``.
    """
    return capacity.rate_per_s(places(load, serve).full)


def places(load: LoadSamples, serve: Callable[[Requests], Result], near: Places = capacity.ANYWHERE) -> Places:
    """Where on the grid of rates the requests of ``load`` no longer meet their goals.

    Args:
        load: What is offered.
        serve: The deployment in question; it may refuse a rate as outside its validity.
        near: Where the search may begin.

    Raises:
        CapacityError: No rate meets the goals; what ``serve`` refused is said with it.
    """
    refused: list[str] = []

    def met(aim: Objectives, place: int) -> float:
        try:
            return aim.met(serve(load_samples.at(aim.requests, capacity.rate_per_s(place))))
        except OutOfValidityError as error:
            refused.append(str(error))
            return 0.0

    try:
        samples = [partial(met, aim) for aim in load.samples]
        return capacity.places(partial(met, load.pilot), samples, share=load.share, near=near)
    except CapacityError as error:
        raise CapacityError("; ".join([str(error), *refused[-1:]])) from error
