"""Claims that can be recomputed: each formula takes the figures of params/claims.yaml and says what they really give."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.composition import independent
from deltastack.errors import ParamsError
from deltastack.fleet.physics.drive import Drive, Load, Scheduler, mean_read_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROUNDED = 0.005
"""Printed figures are compared to half a percent of themselves: three digits, rounded."""


class Answer(NamedTuple):
    """What the figures give: the word of the verdict, the number that the claim should have had, and why."""

    verdict: str
    found: float | None
    reason: str


def as_printed(found: float, claimed: float) -> bool:
    """Whether two figures are one, rounded.

    >>> as_printed(0.2349, 0.235), as_printed(0.1254, 0.235)
    (True, False)
    """
    return abs(found - claimed) <= _ROUNDED * abs(claimed)


def geometric_mean(*, first: float, second: float) -> Answer:
    """The mean of what two savings leave, ((1 - a)(1 - b))^(1/2), beside their product: confirmed where both are one."""
    product = independent([first, second])
    mean = 1 - (1 - product) ** 0.5
    return Answer(
        "confirmed" if as_printed(mean, product) else "refuted",
        mean,
        f"the geometric mean of what {first:.0%} and {second:.0%} leave saves {mean:.1%}; their product {product:.1%}",
    )


def zoned_reads(
    *,
    read_bytes_per_s: float,
    write_bytes_per_s: float,
    other_write_bytes_per_s: float,
    write_amplification: float,
    claimed: float,
) -> Answer:
    """Fall of the mean read latency on a zoned drive, read priority (Cobham 1954; ``fleet.physics.drive``).

    Confirmed if it is ``claimed`` while weights are served, out of domain if only others' writes make it so.
    """

    def fall(write: float) -> float:
        load = Load(read_bytes_per_s=read_bytes_per_s, write_bytes_per_s=write, write_amplification=max(write_amplification, 1.0))
        was, now = (mean_read_s(Drive(), x, Scheduler.READ_PRIORITY) for x in (load, load.zoned()))
        return (was - now) / was

    found, busy = fall(write_bytes_per_s), fall(other_write_bytes_per_s)
    least = claimed * (1 - _ROUNDED)
    return Answer(
        "confirmed" if found >= least else "out of domain" if busy >= least else "refuted",
        found,
        f"weights are read and not written: the fall is {found:.0%}. It is {busy:.0%} where "
        f"{other_write_bytes_per_s / 1e6:.0f} MB/s of other writes, amplified {write_amplification:g} times, share the drive",
    )


def attention_context(*, saving: float, d_model: float, longest_context_tokens: float) -> Answer:
    """Context L above which causal attention is ``saving`` of all FLOPs: 2L / (24 d + 2L) >= s, so L >= 12 d s / (1 - s)."""
    needed = 12 * d_model * saving / (1 - saving)
    verdict = "out of domain" if needed > longest_context_tokens else "untestable here"
    return Answer(
        verdict,
        needed,
        f"{saving:.0%} of all FLOPs through attention alone needs {needed:,.0f} tokens of context at a width of {d_model:.0f} "
        f"({needed / d_model:.1f} times it); 99 % of our contexts are shorter than {longest_context_tokens:,.0f}",
    )


def tokens_of_flop(*, parameters: float, flop: float, longest_context_tokens: float) -> Answer:
    """Tokens that a dense model computes with so many operations: flop / (2 parameters); no inference has other lengths."""
    tokens = flop / (2 * parameters)
    return Answer(
        "untestable here" if 1 <= tokens <= longest_context_tokens else "refuted",
        tokens,
        f"never disclosed; {parameters / 1e9:.0f}e9 dense parameters take {2 * parameters / 1e12:.2f} TFLOP a token, so "
        f"{flop / 1e15:g} PFLOP are {tokens:,.0f} tokens: an inference needs a length",
    )


def encoder_ratio(*, encoder_flop: float, parameters: float, ratio: float, least_prompt_tokens: float) -> Answer:
    """Prompt length at which the encoder needs ``ratio`` times the FLOPs of a text model: E / (2 P ratio)."""
    tokens, least = (encoder_flop / (2 * parameters * x) for x in (ratio, least_prompt_tokens))
    verdict = "out of domain" if tokens < least_prompt_tokens else "untestable here"
    return Answer(
        verdict,
        least,
        f"{encoder_flop / 1e9:.1f} GFLOP an image are {ratio:g} times those of a {parameters / 1e9:g}e9 text model only for a "
        f"prompt of {tokens:.1f} tokens; at {least_prompt_tokens:.0f} tokens the ratio is {least:.2f}",
    )


def accelerators_for_users(  # noqa: PLR0913 - one keyword a figure
    *,
    users: float,
    tokens: float,
    parameters: float,
    weight_bytes: float,
    node: float,
    memory_bytes: float,
    layers: float,
    heads: float,
    kv_heads: float,
    head_size: float,
    kv_bytes: float,
    claimed: float,
) -> Answer:
    """Accelerators whose memory holds all users' keys and values, with all heads kept and with grouped ones."""
    room = node * memory_bytes - parameters * weight_bytes
    per_user = [2 * layers * h * head_size * kv_bytes * tokens for h in (heads, kv_heads)]
    every, grouped = (users * node * u / room for u in per_user)
    verdict = "refuted" if grouped > claimed else "confirmed" if every <= claimed else "out of domain"
    return Answer(
        verdict,
        every,
        f"memory for {users:,.0f} users of {tokens:,.0f} tokens takes {every:,.0f} accelerators with all {heads:.0f} heads kept "
        f"({every / claimed:.1f} times the claim) and {grouped:,.0f} with {kv_heads:.0f}: it holds only for grouped heads",
    )


def training_carbon(
    *, energy_mwh: float, kg_per_kwh: float, t_per_car_year: float, claimed_t: float, claimed_cars: float
) -> Answer:
    """Energy times grid intensity [t], and how many car-years that is."""
    emitted = energy_mwh * kg_per_kwh
    cars = emitted / t_per_car_year
    right = as_printed(emitted, claimed_t) and as_printed(cars, claimed_cars)
    reason = f"{energy_mwh:,.0f} MWh x {kg_per_kwh:g} kg/kWh = {emitted:.1f} t; / {t_per_car_year:g} t = {cars:.1f} car-years"
    return Answer("confirmed" if right else "refuted", emitted, reason)


COMPUTATIONS: dict[str, Callable[..., Answer]] = {
    f.__name__: f
    for f in (
        geometric_mean,
        zoned_reads,
        attention_context,
        tokens_of_flop,
        encoder_ratio,
        accelerators_for_users,
        training_carbon,
    )
}


def compute(name: str, figures: Mapping[str, float]) -> Answer:
    """The answer of the computation ``name``.

    Raises:
        ParamsError: Figures that the formula does not take, or lacks.
    """
    import inspect

    wanted = set(inspect.signature(COMPUTATIONS[name]).parameters)
    if wanted != set(figures):
        raise ParamsError(
            f"claims.yaml: computation '{name}' takes {', '.join(sorted(wanted))}; found {', '.join(sorted(figures)) or 'none'}"
        )
    return COMPUTATIONS[name](**figures)
