"""The published evidence as plain text that fits 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.own_runs.text import ends, percent, points, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.own_runs.published import Evidence, Tally
    from deltastack.own_runs.result import CaseResult


def brief(found: Evidence) -> str:
    """The headline and what predicts better."""
    return "\n".join(wrapped(filter(None, [headline(found), _pairwise(found)])))


def text(found: Evidence) -> str:
    """The headline, the pairs by class, every stack of three or more, and the tables with intervals."""
    lines = [*wrapped([headline(found)]), ""]
    if found.pairs:
        rows = [(n, str(t.count), str(t.off), f"{100 * t.median:.1f}", _range(t)) for n, t in found.classes().items()]
        lines += [*table(("pair of", "cases", "off", "median", "gap of the product"), rows), ""]
    if found.stacks:
        stacks = [(s.id, percent(s.result.joint.delta), _points(s.gap), _points(s.pairwise_gap)) for s in found.stacks]
        lines += [*table(("stack of three or more", "joint", "product off by", "pairwise off by"), stacks), ""]
    said = [_pairwise(found), *(_table_words(name, cases) for name, cases in found.tables)]
    return "\n".join([*lines, *wrapped(filter(None, said))])


def headline(found: Evidence) -> str:
    """The first sentences: how often the product is off."""
    limit = f"{100 * found.tolerance:g} points"
    said = []
    if found.pairs:
        t = found.product(found.pairs)
        said.append(
            f"{t.count} published pairs, on {found.base_runs} different base runs: the product of the single savings is wrong "
            f"by more than {limit} in {t.off} ({t.too_much} promise too much, {t.too_little} too little); median "
            f"{100 * t.median:.1f} points, {100 * t.lowest:+.1f} to {100 * t.highest:+.1f}."
        )
    if found.stacks:
        t = found.product(found.stacks)
        said.append(f"{t.count} published stacks of three or more: wrong in {t.off}.")
    return " ".join(said)


def _pairwise(found: Evidence) -> str:
    """Whether pairwise is recommended, and where it fails."""
    t = found.pairwise()
    if t is None:
        return ""
    off = [f"{s.id} ({_points(s.pairwise_gap)})" for s in found.stacks if abs(s.pairwise_gap or 0) > found.tolerance]
    word = "is the better predictor" if found.recommends_pairwise else "is no better than the product"
    fails = f" It is off in {', '.join(off)}." if off else ""
    return (
        f"pairwise (the product corrected by each measured pair) {word}: within {100 * found.tolerance:g} points in "
        f"{t.count - t.off} of {t.count} stacks, the product in {t.count - found.product(found.stacks).off}.{fails} "
        "Run base, singles and pairs, predict the rest, and measure the full cell once as a check."
    )


def _table_words(name: str, cases: Sequence[CaseResult]) -> str:
    """A table of runs in sentences: how often each formula fails with its interval, and by what."""
    count = len(cases)
    fails = sum(c.verdict == "fails" for c in cases)
    pair = [c.verdicts["pairwise"] for c in cases]
    said = f"{name} ({count} settings, {sum(sum(c.runs.values()) for c in cases)} runs): the product fails in {fails} of {count}"
    if count == 1:
        said += f" (off by {points(cases[0].gap['independent'])})"
    if any(len(c.layers) > 2 for c in cases):  # noqa: PLR2004 - of two layers the pair is the joint
        said += f"; pairwise fails in {pair.count('fails')}, holds in {pair.count('holds')}, the rest is not decided"
    return f"{said}.{_by_setting(cases)}"


def _by_setting(cases: Sequence[CaseResult]) -> str:
    """The range of pairwise's gap by each value of a setting that is a number."""
    said = []
    for name in dict.fromkeys(k for c in cases for k in c.setting):
        groups: dict[str, list[float]] = {}
        for c in cases:
            gap = c.gap["pairwise"].delta
            if gap is not None and len(c.layers) > 2 and name in c.setting:  # noqa: PLR2004 - see above
                groups.setdefault(c.setting[name], []).append(gap)
        if len(groups) > 1 and all(v.replace(".", "", 1).isdigit() for v in groups):
            shown = ", ".join(f"{v}: {ends(min(g), max(g))}" for v, g in groups.items())
            said.append(f" pairwise is off by {name}: {shown} points.")
    return "".join(said)


def _range(t: Tally) -> str:
    return f"{100 * t.lowest:+.1f} to {100 * t.highest:+.1f}" if t.count > 1 else f"{100 * t.lowest:+.1f}"


def _points(gap: float | None) -> str:
    return "-" if gap is None else f"{100 * gap:+.1f}"
