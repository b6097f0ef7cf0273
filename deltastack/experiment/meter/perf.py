"""Retired instructions of this process through ``perf_event_open``, where the kernel and the machine allow it.

Virtual machines often expose no hardware counter; the reason is then kept beside the missing reading.

Source: perf_event_open(2): PERF_TYPE_HARDWARE = 0, PERF_COUNT_HW_INSTRUCTIONS = 1; flag bits 1 (inherit),
5 (exclude_kernel) and 6 (exclude_hv) of the attribute's bit field.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from deltastack.experiment.meter.counters import FunctionCounter, Quantity

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _INSTRUCTIONS = 0, 1
_INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HV = 1 << 1, 1 << 5, 1 << 6
_ATTRIBUTE_BYTES = 64  # PERF_ATTR_SIZE_VER0


def instruction_counter() -> FunctionCounter:
    """The counter of user-space instructions, or the reason why there is none."""
    try:
        handle = _open()
    except OSError as error:
        reason = f"perf_event_open: {error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"
        return FunctionCounter(quantity=Quantity.INSTRUCTIONS, source="perf_event_open", reason=reason, function=_never)
    return FunctionCounter(
        quantity=Quantity.INSTRUCTIONS, source="perf_event_open", reason=None, function=lambda: float(_value(handle))
    )


def _open() -> int:
    number = _SYSCALL.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        raise OSError(errno.ENOSYS, f"no such call on {platform.system()} {platform.machine()}")
    flags = _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HV
    attribute = struct.pack("IIQQQQQ", _HARDWARE, _ATTRIBUTE_BYTES, _INSTRUCTIONS, 0, 0, 0, flags).ljust(_ATTRIBUTE_BYTES, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    handle = int(libc.syscall(number, ctypes.c_char_p(attribute), 0, -1, -1, 0))
    if handle < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return handle


def _value(handle: int) -> int:
    return int(struct.unpack("q", os.read(handle, 8))[0])


def _never() -> float:
    raise OSError(errno.ENOSYS, "no instruction counter on this machine")
