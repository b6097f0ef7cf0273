"""A small real HTTP server that behaves like a serving engine, well or badly: ``python fake_engine.py --port N [KEY=VALUE ...]``.

Switches: cache, quant, batch (0/1). ``work_ms`` is processor work a request; each switch leaves a share of it, ``together`` is what
cache and quant leave beyond their product. ``dead=NAME`` accepts a switch and keeps it off. Faults: hang, crash, leak, throttle,
short, deaf (never healthy), stubborn (ignores SIGTERM and has a child), echo (tells the key it was given).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LEFT = {"cache": 0.5, "quant": 0.6, "batch": 0.8}
DEFAULTS = {"work_ms": "0", "delay_ms": "0", "together": "1", "dead": "", "fault": "", "cache": "0", "quant": "0", "batch": "0"}


class State:
    """What the server was told, and what it counted."""

    def __init__(self, words):
        self.told = DEFAULTS | dict(w.split("=", 1) for w in words)
        self.on = {n for n in LEFT if self.told[n] == "1" and n not in self.told["dead"].split(",")}
        self.counts = {"prompt": 0, "cached": 0, "preempted": 0}
        self.lock = threading.Lock()
        self.hoard = []

    @property
    def work_s(self):
        share = 1.0
        for name in self.on:
            share *= LEFT[name]
        together = float(self.told["together"]) if {"cache", "quant"} <= self.on else 1.0
        return float(self.told["work_ms"]) / 1e3 * share * together


class Handler(BaseHTTPRequestHandler):
    """Answers like an engine."""

    state: State

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        s = self.state
        answers = {
            "/health": lambda: {"status": "ok"},
            "/props": lambda: {"settings": {n: n in s.on for n in LEFT}, "version": "fake 1.0"},
        }
        if self.path == "/metrics":
            lines = "".join(f'fake_{k}_total{{engine="0"}} {v}\n' for k, v in s.counts.items())
            return self._send(200, lines.encode(), "text/plain")
        if self.path not in answers or s.told["fault"] == "deaf":
            return self._send(503, b"{}")
        return self._send(200, json.dumps(answers[self.path]()).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.path == "/reset":
            return self._send(200, b"{}")
        fault = self.state.told["fault"]
        if fault == "crash":
            os._exit(3)
        if fault == "hang":
            time.sleep(3600)
        if fault == "leak":
            self.state.hoard.append(bytearray(os.urandom(1) * 400_000_000))
            time.sleep(30)
        if fault == "throttle":
            return self._send(429, b'{"error": "slow down"}')
        if fault == "echo":
            return self._send(401, f"no access for {self.headers.get('Authorization')}".encode())
        return self._answer(body, short=fault == "short")

    def _answer(self, body, *, short):
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
        for n in range(wanted):
            logprobs = {"tokens": [word], "token_logprobs": [-0.1 - 0.01 * ("quant" in s.on)]}
            self._event({"choices": [{"text": f"{word} " if n else word + " ", "logprobs": logprobs}]})
        usage = {"prompt_tokens": prompt, "completion_tokens": wanted, "prompt_tokens_details": {"cached_tokens": cached}}
        self._event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value):
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def _send(self, status, content, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main():
    """Serve until a signal."""
    if "--refuse" in sys.argv:
        sys.exit("fake engine: unknown flag --refuse")
    words = [w for w in sys.argv[1:] if "=" in w]
    port = int(sys.argv[sys.argv.index("--port") + 1])
    state = Handler.state = State(words)
    if state.told["fault"] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"], start_new_session=True)
    print("resolved:", sorted(state.on), flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
