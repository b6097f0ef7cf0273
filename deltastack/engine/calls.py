"""Control calls to a server: its health, its resolved configuration, its counters, its caches. Proxies are never used."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@functools.lru_cache(maxsize=1)
def certificates() -> ssl.SSLContext:
    """The trusted certificates, read once: it takes longer than a request."""
    return httpx.create_ssl_context()


def call(method: str, url: str, headers: Mapping[str, str], timeout_s: float) -> httpx.Response:
    """One call.

    Raises:
        httpx.HTTPError: No answer.
    """
    return httpx.request(method, url, headers=dict(headers), timeout=timeout_s, trust_env=False, verify=certificates())
