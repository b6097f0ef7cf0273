"""A Mermaid flowchart as SVG, in layers from top to bottom, so that the site draws it without a script from elsewhere."""

from __future__ import annotations

import re
from html import escape

NODE = re.compile(r'^\s*(\w+)\["(.+)"\]$')
EDGE = re.compile(r"^\s*(\w+) --> (\w+)$")
WIDE, HIGH, GAP_X, GAP_Y, LETTER = 90, 22, 18, 34, 7.4


def svg(text: str) -> str:
    """The flowchart of ``text`` as an SVG element that takes the page's text colour.

    Raises:
        ValueError: A line that is neither a node nor an arrow, or arrows in a circle.
    """
    nodes, edges = _parsed(text)
    rows = _rows(nodes, edges)
    width = max(_row_width([nodes[n] for n in row]) for row in rows)
    boxes, y = {}, 4.0
    for row in rows:
        x = (width - _row_width([nodes[n] for n in row])) / 2
        for name in row:
            wide, high = _size(nodes[name])
            boxes[name] = (x, y, wide, high)
            x += wide + GAP_X
        y += max(_size(nodes[n])[1] for n in row) + GAP_Y
    lines = [_line(boxes[a], boxes[b]) for a, b in edges]
    drawn = [_box(boxes[name], words) for name, words in nodes.items()]
    head = f'<svg viewBox="-4 0 {width + 8:.0f} {y - GAP_Y + 8:.0f}" role="img" style="max-width:{width:.0f}px;width:100%">'
    return "".join([head, '<g stroke="currentColor" fill="none">', *lines, *drawn, "</g></svg>"])


def _parsed(text: str) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    nodes: dict[str, list[str]] = {}
    edges: list[tuple[str, str]] = []
    for line in filter(str.strip, text.splitlines()[1:]):
        node, edge = NODE.match(line), EDGE.match(line)
        if node:
            nodes[node[1]] = node[2].split("<br/>")
        elif edge:
            edges.append((edge[1], edge[2]))
        else:
            raise ValueError(f"flowchart: cannot read '{line.strip()}'")
    return nodes, edges


def _rows(nodes: dict[str, list[str]], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Nodes by the longest way that leads to them."""
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = False
        for a, b in edges:
            if depth[b] < depth[a] + 1:
                depth[b], moved = depth[a] + 1, True
        if not moved:
            return [[n for n in nodes if depth[n] == d] for d in range(max(depth.values()) + 1)]
    raise ValueError("flowchart: the arrows run in a circle")


def _size(words: list[str]) -> tuple[float, float]:
    return max(WIDE, LETTER * max(map(len, words)) + 16), HIGH * len(words) + 6


def _row_width(row: list[list[str]]) -> float:
    return sum(_size(words)[0] for words in row) + GAP_X * (len(row) - 1)


def _line(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> str:
    x1, y1, x2, y2 = a[0] + a[2] / 2, a[1] + a[3], b[0] + b[2] / 2, b[1]
    bend = (y2 - y1) / 2
    curve = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{curve}" opacity=".45"/><path d="M{x2 - 3:.0f} {y2 - 5:.0f}L{x2:.0f} {y2:.0f}L{x2 + 3:.0f} {y2 - 5:.0f}"/>'


def _box(place: tuple[float, float, float, float], words: list[str]) -> str:
    x, y, wide, high = place
    texts = "".join(
        f'<text x="{x + wide / 2:.0f}" y="{y + 18 + HIGH * n:.0f}" text-anchor="middle" stroke="none" fill="currentColor" '
        f'font-size="13" font-family="monospace">{escape(word)}</text>'
        for n, word in enumerate(words)
    )
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{wide:.0f}" height="{high:.0f}" rx="5"/>{texts}'
