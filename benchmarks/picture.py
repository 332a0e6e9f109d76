"""What the live picture costs the workers beside it: python -m benchmarks.picture

Facts. The picture is drawn in the kernel that the server's threads are in. So both must
be in a real kernel, and the pictures must be sent.

Decision. A kernel is started for it. Runs with and without a picture take turns, in an
order that changes from round to round, with a new server and the same load each. Told
are the medians over the rounds, and how far the rounds are apart: a difference that is
smaller than that is none.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from jupyter_client.manager import start_new_kernel

ONE = """
import contextlib, json, netlab
from netlab.show import live
generator = netlab.Generator()
def one(picture, engine, seconds):
    with netlab.Server(workers=4, engine=engine) as server:
        generator.fire(server, connections=50, progress=False)
        before = server.snapshot()
        watching = live.watch(server) if picture else contextlib.nullcontext()
        with watching:
            load = generator.fire(
                server, duration_s=seconds, at_once=16, requests=5, progress=False)
        server.settle()
        after = server.snapshot()
        more = {n: int((after[n] - before[n]).sum()) for n in ("accepted", "wakeups")}
        asked = load.requests
        ms, percent = watching.cost() if picture else (0, 0)
        return {
            "requests a second": len(asked) / seconds,
            "p50 (us)": float(asked["latency_ns"].median()) / 1000,
            "p99 (us)": float(asked["latency_ns"].quantile(0.99)) / 1000,
            "wake-ups per accept": more["wakeups"] / more["accepted"],
            "ms a picture": ms, "percent of a CPU": percent}
"""


def measure(rounds: int, engine: str, seconds: float) -> dict[bool, list[dict]]:
    """Return a row a run, by whether there was a picture."""
    manager, client = start_new_kernel()
    try:
        client.execute_interactive(ONE)
        found: dict[bool, list[dict]] = {False: [], True: []}
        for number in range(rounds):
            for picture in (False, True) if number % 2 else (True, False):
                call = f"print(json.dumps(one({picture}, {engine!r}, {seconds})))"
                found[picture].append(_told(client, call))
        return found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _told(client: Any, call: str) -> dict[str, float]:
    """Return what a call prints in the kernel."""
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        said.append(message["content"].get("text", ""))

    client.execute_interactive(call, output_hook=hear)
    return json.loads("".join(said))


def table(found: dict[bool, list[dict]]) -> list[str]:
    """Return a line a number: without, with, each with its range."""
    lines = []
    for name in found[True][0]:
        texts = []
        for picture in (False, True):
            values = [row[name] for row in found[picture]]
            low, high = min(values), max(values)
            texts.append(f"{statistics.median(values):9.1f} ({low:.1f} to {high:.1f})")
        lines.append(f"{name:22} without {texts[0]:32} with {texts[1]}")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--engine", default="python", choices=["python", "compiled"])
    options = parser.parse_args()
    found = measure(options.rounds, options.engine, options.seconds)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
