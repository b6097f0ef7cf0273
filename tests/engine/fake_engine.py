"""A small real HTTP server that behaves like a serving engine, well or badly: ``python fake_engine.py --port N [KEY=VALUE ...]``.

Switches: cache, quant, batch (0/1). ``work_ms`` is processor work a request; each switch leaves a share of it, ``together`` is
what cache and quant leave beyond their product. ``dead=NAME`` accepts a switch and keeps it off. Faults: hang, crash, leak,
throttle, short, deaf (never healthy), stubborn (ignores SIGTERM and has a child), echo (tells the key it was given).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LEFT = {"cache": 0.5, "quant": 0.6, "batch": 0.8}
CHILD = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"
DEFAULTS = {"work_ms": "0", "delay_ms": "0", "together": "1", "dead": "", "fault": "", "cache": "0", "quant": "0", "batch": "0"}


class State:
    """What the server was told, and what it counted."""

    def __init__(self, words: list[str]) -> None:
        """Take ``KEY=VALUE`` words."""
        self.told = DEFAULTS | dict(w.split("=", 1) for w in words)
        self.on = {n for n in LEFT if self.told[n] == "1" and n not in self.told["dead"].split(",")}
        self.counts = {"prompt": 0, "cached": 0, "preempted": 0}
        self.lock = threading.Lock()
        self.hoard: list[bytearray] = []

    @property
    def work_s(self) -> float:
        """Processor seconds of one request."""
        share = 1.0
        for name in self.on:
            share *= LEFT[name]
        together = float(self.told["together"]) if {"cache", "quant"} <= self.on else 1.0
        return float(self.told["work_ms"]) / 1e3 * share * together


class Handler(BaseHTTPRequestHandler):
    """Answers like an engine."""

    state: State

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Health, what is resolved, counters."""
        s = self.state
        answers = {
            "/health": lambda: {"status": "ok"},
            "/props": lambda: {"settings": {n: n in s.on for n in LEFT}, "version": "fake 1.0"},
        }
        if self.path == "/metrics":
            lines = "".join(f'fake_{k}_total{{engine="0"}} {v}\n' for k, v in s.counts.items())
            self._send(200, lines.encode(), "text/plain")
        elif self.path not in answers or s.told["fault"] == "deaf":
            self._send(503, b"{}")
        else:
            self._send(200, json.dumps(answers[self.path]()).encode())

    def do_POST(self) -> None:
        """A completion, or the fault that was asked for."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        fault = self.state.told["fault"]
        if self.path == "/reset":
            self._send(200, b"{}")
        elif fault in _FAULTS:
            _FAULTS[fault](self)
        else:
            self._answer(body, short=fault == "short")

    def crash(self) -> None:
        """End at once."""
        os._exit(3)

    def hang(self) -> None:
        """Never answer."""
        time.sleep(3600)

    def leak(self) -> None:
        """Take memory and keep it."""
        self.state.hoard.append(bytearray(os.urandom(1) * 400_000_000))
        time.sleep(30)

    def throttle(self) -> None:
        """Too many requests."""
        self._send(429, b'{"error": "slow down"}')

    def echo(self) -> None:
        """Tell the key."""
        self._send(401, f"no access for {self.headers.get('Authorization')}".encode())

    def _answer(self, body: dict[str, Any], *, short: bool) -> None:
        s = self.state
        end = time.thread_time() + s.work_s
        while time.thread_time() < end:
            pass
        time.sleep(float(s.told["delay_ms"]) / 1e3)
        wanted = int(body["max_tokens"]) - int(short)
        prompt = len(str(body.get("prompt", "")).split())
        cached = prompt // 2 if "cache" in s.on and body.get("cache", True) else 0
        with s.lock:
            s.counts["prompt"] += prompt
            s.counts["cached"] += cached
        word = "eight" if "quant" in s.on and "five" in str(body.get("prompt")) else "four"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for _ in range(wanted):
            logprobs = {"tokens": [word], "token_logprobs": [-0.1 - 0.01 * ("quant" in s.on)]}
            self._event({"choices": [{"text": f"{word} ", "logprobs": logprobs}]})
        usage = {"prompt_tokens": prompt, "completion_tokens": wanted, "prompt_tokens_details": {"cached_tokens": cached}}
        self._event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def _send(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_FAULTS = {name: getattr(Handler, name) for name in ("crash", "hang", "leak", "throttle", "echo")}


def main() -> None:
    """Serve until a signal."""
    if "--refuse" in sys.argv:
        sys.exit("fake engine: unknown flag --refuse")
    words = [w for w in sys.argv[1:] if "=" in w]
    port = int(sys.argv[sys.argv.index("--port") + 1])
    state = Handler.state = State(words)
    if state.told["fault"] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(
            [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"],
            start_new_session=True,
        )
    sys.stdout.write(f"resolved: {sorted(state.on)}\n")
    sys.stdout.flush()
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
