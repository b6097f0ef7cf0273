"""What the fleet bench assumes beside the deployment: goals, power, prices, carbon; one draw of params/fleet.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.fleet.deployment import BOARDS_OWN, Batching, Deployment, Memory, Storage
from deltastack.fleet.power import PowerModel
from deltastack.model import Evidence, Params

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deltastack.fleet.scene import Scene

FILE = "params/fleet.yaml"


class Drives(Params):
    """The flash drive of a replica with nothing switched."""

    drive_bytes: float = Field(ge=0)
    read_bytes_per_s: float = Field(gt=0)
    spare_share: float = Field(ge=0)
    write_amplification: float = Field(ge=1)
    scheduler: str
    dies: int = Field(ge=1)
    page_read_s: float = Field(gt=0)
    program_s: float = Field(gt=0)
    erase_s: float = Field(gt=0)
    block_bytes: int = Field(ge=1)
    copy_bytes_per_s: float = Field(gt=0)


class Served(Params):
    """The deployment with nothing switched."""

    model: str
    platform: str
    precision: str
    tensor_parallel: int = Field(ge=1)
    replicas: int = Field(ge=1)
    router: str
    pack_tokens: float = Field(default=0, ge=0, description="packed: tokens up to which a replica takes more")
    host_step_s: float = Field(ge=0)
    host_sequence_s: float = Field(ge=0)
    host_visual_token_s: float = Field(ge=0, description="decode, resize and normalise the pixels of one visual token")
    token_budget: int | None = Field(ge=1, description="tokens a step at most; null: the engine's default on the board")
    max_sequences: int = Field(ge=1)
    encoder_budget: int = Field(default=8192, ge=1, description="visual tokens encoded before one step at most")
    memory_fraction: float = Field(gt=0, le=1)
    host_bytes_per_replica: float = Field(ge=0)
    storage: Drives

    def deployment(self) -> Deployment:
        """The same as techniques see it."""
        return Deployment(
            model=self.model,
            platform=self.platform,
            precision=self.precision,
            tensor_parallel=self.tensor_parallel,
            replicas=self.replicas,
            router=self.router,
            pack_tokens=round(self.pack_tokens),
            host_step_s=self.host_step_s,
            host_sequence_s=self.host_sequence_s,
            host_visual_token_s=self.host_visual_token_s,
            batching=Batching(
                token_budget=self.token_budget or BOARDS_OWN,
                max_sequences=self.max_sequences,
                encoder_budget=self.encoder_budget,
                memory_fraction=self.memory_fraction,
            ),
            memory=Memory(host_bytes_per_replica=self.host_bytes_per_replica),
            storage=Storage(**self.storage.model_dump()),
        )


class Goals(Params):
    """The latency goal of each request: its unloaded time and a slack; at the goodput enough of them still meet it."""

    share: float = Field(gt=0, lt=1, description="of requests that must meet their own goal")
    slack_s: float = Field(ge=0, description="beyond the unloaded time, of any request")
    slack_token_s: float = Field(ge=0, description="more for every output token")


class Capacity(Params):
    """How the goodput is found: systematic samples of the workload's requests, Poisson arrivals, the whole fleet."""

    requests: int = Field(ge=10, description="of a sample")
    requests_per_replica: int = Field(ge=0, description="at least, so that a large fleet is not filled by one burst")
    arrivals: int = Field(ge=1, description="seeds of arrivals, averaged, with the central values of all parameters")
    draw_arrivals: int = Field(ge=1, description="the same with every other draw of them")
    seed: int = Field(ge=0)

    def of_fleet(self, replicas: int) -> Capacity:
        """With samples large enough for so many replicas."""
        return self.model_copy(update={"requests": max(self.requests, self.requests_per_replica * replicas)})

    def of_draw(self, draw: int) -> Capacity:
        """With the seeds of a draw: its own, the same in all cells of it."""
        arrivals = self.draw_arrivals if draw else self.arrivals
        return self.model_copy(update={"seed": self.seed + draw, "arrivals": arrivals})


class MemoryUse(Params):
    """Accelerator memory that is neither weights nor keys and values."""

    activation_bytes_per_element: float = Field(ge=0, description="for each token of the budget and unit of hidden size")
    encoder_activation_bytes: float = Field(ge=0)


class Prices(Params):
    """Money; an accelerator's price includes its share of the node."""

    platform: str = Field(min_length=1, description="whose price it is; on another one money is missing")
    accelerator_usd_per_s: float = Field(gt=0)
    accelerator_life_s: float = Field(gt=0, description="over which what it costs to make is paid")
    host_memory_usd_per_byte_s: float = Field(ge=0)
    host_bytes_in_price: float = Field(ge=0, description="host memory that the accelerator's price includes")
    drive_usd_per_byte_s: float = Field(ge=0, description="of flash, spare capacity included")
    flash_bytes_in_price: float = Field(ge=0, description="flash that the accelerator's price includes")
    drive_life_s: float = Field(gt=0)
    flash_cycles: float = Field(gt=0, description="times that a byte of flash can be programmed")


class Carbon(Params):
    """Grams of CO2 equivalent: the grid's for energy, the maker's for hardware over its life."""

    pue: float = Field(ge=1)
    grid_g_per_j: float = Field(ge=0)
    embodied_g_per_accelerator: float = Field(ge=0)
    lifetime_s: float = Field(gt=0)


class Traffic(Params):
    """Bytes that move although no request asks for them."""

    reload_period_s: float = Field(gt=0, description="between two loads of the weights from storage: rollouts, restarts")


class FleetParams(Params):
    """params/fleet.yaml, ranges drawn."""

    deployment: Served
    goals: Goals
    capacity: Capacity
    memory: MemoryUse
    power: PowerModel
    prices: Prices
    carbon: Carbon
    traffic: Traffic


class Settings(NamedTuple):
    """One draw of params/fleet.yaml, and how each ranged number is known (``power.busy_base`` and so on)."""

    values: FleetParams
    evidence: dict[str, Evidence]

    def serving(self, changed: Mapping[str, Any]) -> Settings:
        """The same with some values of the deployment replaced.

        Raises:
            ParamsError: A key that the deployment does not have, or a value that it refuses; the message lists its keys.
        """
        if not changed:
            return self
        known = Served.model_fields
        strange = sorted(changed.keys() - known.keys())
        if strange:
            raise ParamsError(f"no key '{strange[0]}' in deployment of {FILE}; there are: {', '.join(known)}")
        served = params.parse(self.values.deployment.model_dump() | dict(changed), Served, f"{FILE}: deployment")
        return self._replace(values=self.values.model_copy(update={"deployment": served}))

    def seeded(self, arrivals: int) -> Settings:
        """The same with so many seeds of arrivals."""
        capacity = self.values.capacity.model_copy(update={"arrivals": arrivals})
        return self._replace(values=self.values.model_copy(update={"capacity": capacity}))


def load(root: Path, *, draw: int = 0, draws: int = 1, scene: Scene | None = None) -> Settings:
    """Draw number ``draw`` of ``draws``; 0 is the central values. A scene's values replace the file's.

    Every draw has a load of its own for the goodput (``Capacity.of_draw``), the same in all cells of the draw: what hangs on the
    requests that happen to be sampled is then inside the range over draws.

    Raises:
        ParamsError: The file does not hold, or the scene names a key that it does not have.
    """
    tree = params.read_yaml(root / FILE)
    tree = params.overlaid(tree, scene.fleet, scene.file, "fleet") if scene else tree
    with params.changed_by(scene.file if scene else None):
        drawn = params.draw(tree, FILE, number=draw, of=draws)
        values = params.parse(drawn.values, FleetParams, FILE)
    return Settings(values.model_copy(update={"capacity": values.capacity.of_draw(draw)}), drawn.evidence)
