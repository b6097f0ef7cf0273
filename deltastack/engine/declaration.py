"""``params/engines/NAME.yaml``: how an engine is started, what each technique sets in it, and how to see that it took.

A cell of the factorial is the base's settings with the ``on`` settings of its techniques in the place of their ``off``
settings. Commands are lists of arguments and never pass through a shell here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from deltastack import params
from deltastack.engine.consistency import breaches
from deltastack.engine.techniques import Absent, Call, Conflict, Settings, Technique
from deltastack.model import Params

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class Warm(Params):
    """A process that imports the engine once (``zygote``): every cell's server is a fork of it, with ``command`` as its words."""

    python: str = Field(description="interpreter of the engine's environment")
    main: str = Field(pattern=r"^[\w.]+:\w+$", description="module:function that serves, as the engine's own command calls it")
    modules: tuple[str, ...] = Field((), description="imported before the first fork; with the start's environment")
    within_s: float = Field(300, gt=0, description="the import may take")


class Start(Params):
    """How a server is started, on this machine or through ssh, docker or kubectl."""

    command: tuple[str, ...] = Field(min_length=1, description="argument list; {port}, {python}, {root}, {cell}, values, files")
    environment: dict[str, str] = Field(default_factory=dict, description="added to the environment of the bench")
    environment_words: tuple[str, ...] = Field(("{name}={value}",), description="what {environment} becomes for each variable")
    quoted: bool = Field(default=False, description="quote flags and environment once: a shell at the other end reads them (ssh)")
    port: int = Field(0, ge=0, lt=65536, description="0: a free one")
    log: Literal["stdout", "none"] = Field("stdout", description="none: the log stays where the server runs")
    warm: Warm | None = Field(None, description="null: each cell's server is a process of its own from its first instruction")


class Health(Params):
    """When a server counts as ready: the path answers 200."""

    path: str = "/health"
    within_s: float = Field(120, gt=0)
    period_s: float = Field(0.1, gt=0)


class Stop(Params):
    """How a server is ended; whatever is left of its process tree is killed after ``within_s``."""

    signal: Literal["TERM", "INT"] = "TERM"
    within_s: float = Field(20, gt=0)
    command: tuple[str, ...] = Field((), description="run first: what ends a server that runs elsewhere")


class Style(StrEnum):
    """How a source of the read-back is read; each gives names and values."""

    JSON = "json"
    """Nested names are joined by dots, places in a list are numbers: ``slots.0.n_ctx``."""
    PROMETHEUS = "prometheus"
    """``metric``, summed over its labels, and ``metric.LABEL`` for the text of each label."""
    LOG = "log"
    """One name, ``text``: the whole log since the start."""


class Source(Params):
    """Where the resolved configuration or a counter is read."""

    style: Style
    path: str = Field("", description="of the HTTP call; empty for the log")
    header: dict[str, str] = Field(default_factory=dict)


class Counter(Params):
    """A quantity of the engine as one of its own cumulative counters tells it."""

    source: str
    key: str
    scale: float = Field(1.0, gt=0, description="what one of the counter's units is in the quantity's unit")


class Load(Params):
    """What each run asks: a file of requests, or a synthetic mix; output lengths are fixed."""

    file: str | None = Field(None, description="JSON lines {path, body, answer?}; relative to the checkout")
    path: str = "/v1/completions"
    fields: dict[str, str | int | float | bool] = Field(default_factory=dict, description="put into every body, e.g. ignore_eos")
    model: str | None = Field(None, description="the model's name in requests")
    requests: int = Field(8, gt=0)
    shared_words: int = Field(200, ge=0, description="the same opening in every synthetic prompt")
    own_words: int = Field(50, gt=0)
    output_tokens: int = Field(16, gt=0)
    replay: bool = Field(default=True, description="send a trace's requests when they arrived; false: a closed loop")
    image_share: float = Field(0.0, ge=0, le=1, description="requests with an image (chat path)")
    concurrency: int = Field(1, gt=0)
    warm: int = Field(1, ge=0, description="discarded requests after each start; other texts than the measured ones")
    generator: Literal["client", "vllm", "aiperf"] = Field("client", description="who sends: our own client, or a tool")
    generator_command: tuple[str, ...] = Field((), description="the tool's executable, e.g. [vllm] or [.aiperf/bin/aiperf]")
    fixed_length: bool = Field(default=True, description="an answer of another length than asked makes the run void")
    timeout_s: float = Field(120, gt=0, description="of one request")
    seed: int = 11

    @model_validator(mode="after")
    def _tool(self) -> Load:
        """A tool has an executable, and makes its own prompts."""
        if self.generator != "client" and (not self.generator_command or self.file is not None or self.model is None):
            raise ValueError(f"generator {self.generator} needs generator_command and model, and cannot ask a file's requests")
        return self


class ExactWork(Params):
    """What exact counts of work are formed from, of an engine whose files the bench wrote itself."""

    card: str = Field(description="models.json beside the model files; relative to the checkout")
    model: str = Field("model", description="which of ``files`` is the decoder")
    batch: int = Field(2048, gt=0, description="tokens of one call at most")
    micro_batch: str = Field(description="tokens of one pass at most; may name a value, such as {micro_batch}")
    cache_type: str = Field("f16", description="type of keys and values; may name a value")
    picture: int = Field(0, ge=0, description="tokens of the one picture of each request, computed apart from the words; 0: none")
    before_picture: int = Field(1, gt=0, description="tokens before it")


class Limits(Params):
    """What one run may take, so that a fault in one cell leaves the others right."""

    memory_byte: float | None = Field(None, gt=0, description="of the process tree; null: 80 % of what is free at the start")
    run_s: float = Field(600, gt=0, description="of one run of the load")
    attempts: int = Field(2, gt=0, description="tries of a run before its cell is given up")


class Experiment(Params):
    """How the cells are measured."""

    quantity: Literal["cpu_s", "time_s", "energy_j"] = Field("cpu_s", description="what decides when intervals are narrow")
    block_pairs: int = Field(3, gt=0, description="at most; each run is a server start")
    twins: int = Field(1, ge=0, le=1, description="A/A twins of the base, for the noise floor")
    repeats: dict[str, int] = Field(default_factory=dict, description="runs a block of some cells; others once")
    alone: bool = Field(default=True, description="every technique alone too, where it is no layer by itself")
    count_start: bool = Field(default=False, description="charge the server's start to component storage")
    start_serves: int | None = Field(None, gt=0, description="requests that one start serves: it is charged to as many")
    gap_s: float = Field(0, ge=0, description="idle time between two halves of the load, charged to component idle")
    together: bool = Field(default=False, description="a block's servers are up at once and take turns; false: one after another")
    half_width: float = Field(0.005, gt=0, lt=1)
    budget_s: float = Field(110, gt=0)
    seed: int = 11


class Engine(Params):
    """The whole file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    version: str = Field(description="the version whose flags were read")
    start: Start | None = Field(None, description="null: the servers run already, one address a cell")
    address: str = "http://127.0.0.1:{port}"
    addresses: dict[str, str] = Field(default_factory=dict, description="cell to address; only without ``start``")
    key_variable: str | None = Field(None, description="environment variable that holds the API key; the key is never written")
    values: dict[str, str] = Field(default_factory=dict, description="words that commands may use")
    files: dict[str, str] = Field(default_factory=dict, description="local files that commands may use; must exist")
    made_by: str = Field("", description="what a person types where a file is missing")
    health: Health = Health()
    stop: Stop = Stop()
    clear: tuple[Call, ...] = ()
    sources: dict[str, Source] = Field(default_factory=dict)
    counters: dict[str, Counter] = Field(default_factory=dict)
    version_at: Counter | None = Field(None, description="where the server says its own version")
    load: Load = Load()
    questions: Load | None = Field(None, description="asked once a cell, outside the timed window; answers are known")
    work: ExactWork | None = Field(None, description="what bytes of weights, keys and values are formed from")
    limits: Limits = Limits()
    experiment: Experiment = Experiment()
    techniques: dict[str, Technique]
    mechanisms: dict[str, Settings] = Field(
        default_factory=dict, description="what techniques use in order to work; run alone where layers share it"
    )
    absent: dict[str, Absent] = Field(default_factory=dict, description="layers for which this engine has no switch")
    conflicts: tuple[Conflict, ...] = ()

    @property
    def unit(self) -> str:
        """What a run of a cell is called: a server that runs already is visited."""
        return "server starts" if self.start is not None else "visits"

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that have a technique which is on, in the order of the file."""
        return tuple(dict.fromkeys(t.layer for t in self.techniques.values() if t.on))

    @property
    def declared_layers(self) -> tuple[str, ...]:
        """Every layer that has a technique, on or off."""
        return tuple(dict.fromkeys(t.layer for t in self.techniques.values()))

    def sharing(self, among: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
        """By mechanism, the layers of ``among`` (None: all) of which a technique that is on uses it."""
        layers = [x for x in self.layers if among is None or x in among]
        uses = {t.layer: set[str]() for t in self.techniques.values()}
        for t in (t for t in self.techniques.values() if t.on):
            uses[t.layer] |= set(t.mechanisms)
        found = {m: tuple(x for x in layers if m in uses[x]) for m in self.mechanisms}
        return {m: of for m, of in found.items() if of}

    def of_layer(self, layer: str) -> tuple[str, ...]:
        """The techniques of ``layer`` that are on."""
        return tuple(name for name, t in self.techniques.items() if t.on and t.layer == layer)

    @model_validator(mode="after")
    def _consistent(self) -> Engine:
        found = [*breaches(self)]
        if found:
            raise ValueError("; ".join(found))
        return self


def load(path: Path) -> Engine:
    """The declaration in ``path``.

    Raises:
        ParamsError: Values that do not hold; all are named.
    """
    return params.load(path, Engine)
