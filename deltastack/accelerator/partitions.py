"""Two partitions of a GPU's SMs, one stream each: green contexts, through the driver's own library.

torch makes green contexts too, but each of them takes the same first SMs, so that two of them are no partition. Here the driver
splits once: one group, and what remains. Structures are opaque to this module but for the number of SMs.

Source: CUDA driver API reference, green contexts (cuDevSmResourceSplitByCount, cuGreenCtxCreate, cuGreenCtxStreamCreate).
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from deltastack.errors import PreflightError

_BYTES = 512
"""Of room for a device resource; the driver's structure has 144 or a few more."""
_SM_COUNT_AT = 96
_SM, _DEFAULT_STREAM, _NON_BLOCKING = 1, 1, 1
_HELD: list[Any] = []
"""Contexts live as long as the process."""


def streams(share: float = 0.5) -> list[Any]:
    """A stream of each of two partitions, the first with about ``share`` of the SMs.

    Raises:
        PreflightError: No driver library, one without green contexts, or one that refuses.
    """
    driver = library()
    torch.cuda.synchronize()  # the primary context is there
    device = ctypes.c_int()
    _ask(driver, "cuDeviceGet", ctypes.byref(device), torch.cuda.current_device())
    whole, first, rest = (ctypes.create_string_buffer(_BYTES) for _ in range(3))
    _ask(driver, "cuDeviceGetDevResource", device, whole, _SM)
    groups, wanted = ctypes.c_uint(1), max(1, round(share * multiprocessors(whole)))
    _ask(driver, "cuDevSmResourceSplitByCount", first, ctypes.byref(groups), whole, rest, ctypes.c_uint(0), ctypes.c_uint(wanted))
    return [_stream(driver, device, part) for part in (first, rest)]


def multiprocessors(resource: Any) -> int:
    """How many SMs a resource has."""
    return int.from_bytes(resource.raw[_SM_COUNT_AT : _SM_COUNT_AT + 4], "little")


def library() -> Any:
    """The driver's library.

    Raises:
        PreflightError: There is none.
    """
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise PreflightError("no partitions of SMs: no driver library libcuda.so.1") from error


def _stream(driver: Any, device: ctypes.c_int, part: Any) -> Any:
    if not multiprocessors(part):
        raise PreflightError("no partitions of SMs: the driver left one of them empty")
    description, context, stream = (ctypes.c_void_p() for _ in range(3))
    _ask(driver, "cuDevResourceGenerateDesc", ctypes.byref(description), part, ctypes.c_uint(1))
    _ask(driver, "cuGreenCtxCreate", ctypes.byref(context), description, device, ctypes.c_uint(_DEFAULT_STREAM))
    _ask(driver, "cuGreenCtxStreamCreate", ctypes.byref(stream), context, ctypes.c_uint(_NON_BLOCKING), ctypes.c_int(0))
    _HELD.append(context)
    external: Any = torch.cuda.ExternalStream
    return external(stream.value)


def _ask(driver: Any, name: str, *words: Any) -> None:
    try:
        code = int(getattr(driver, name)(*words))
    except AttributeError as error:
        raise PreflightError(f"no partitions of SMs: this driver has no {name}") from error
    if code:
        raise PreflightError(f"no partitions of SMs: {name} gave error {code}")
