"""A notebook's kernel with a running server, restarted and shut down.

JupyterLab asks a kernel to end, and kills it if it does not; both are done here, in
turn. Nobody calls `stop`: what ends the server is the end of its process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from netlab.kernel.addresses import Address
from reliability.asking import Askers
from reliability.results import ROOT
from reliability.served import KINDS, PATIENCE_S, lives, until
from reliability.trial import Trial, is_free, of_the_machine

LAUNCH = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
CELL = """
import json, os, netlab
server = netlab.Server(workers=2, **{kind!r})
print(json.dumps([server.address, [os.getpid(), server.pid, *server.tids]]))
server
"""


def restarted(trial: Trial) -> str:
    """Run a server in a kernel, and restart it, asking and killing in turn."""
    machine = of_the_machine()
    with kernel() as manager:
        for number in range(trial.times):
            client = talk_to(manager)
            address, numbers = started(client, KINDS[trial.kind])
            with Askers(address) as askers:
                askers.all_answered("before it")
                client.stop_channels()
                if number < trial.times - 1:
                    manager.restart_kernel(now=bool(number % 2))
                else:
                    manager.shutdown_kernel()
                ended(trial, address, numbers)
            trial.account(askers)
    trial.require(of_the_machine() == machine, "the machine is not as it was")
    return "threads, processes and port are gone; the last time it was shut down"


def ended(trial: Trial, address: Address, numbers: list[int]) -> None:
    """Require that a server's threads, processes and port are gone."""
    pid, host, *tids = numbers
    alive = tids if host != pid else []
    gone = lambda: not any(map(lives, {pid, host, *alive}))  # noqa: E731
    until(gone, "all its processes ended")
    trial.require(is_free(address), "the port is still taken")


@contextmanager
def kernel() -> Iterator[KernelManager]:
    """Give a kernel's manager, its files in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        manager = KernelManager(connection_file=str(Path(folder) / "kernel.json"))
        spec = KernelSpec(argv=LAUNCH, display_name="netlab", language="python")
        manager._kernel_spec = spec
        manager.start_kernel(
            cwd=str(ROOT),
            env=os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield manager
        finally:
            if manager.is_alive():
                manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


def talk_to(manager: KernelManager) -> BlockingKernelClient:
    """Return a client of a kernel that is ready."""
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=2 * PATIENCE_S)
    return client


def started(
    client: BlockingKernelClient, kind: dict[str, Any]
) -> tuple[Address, list[int]]:
    """Run the cell; return the server's address, and who it is."""
    printed: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    code = CELL.format(kind=kind)
    client.execute_interactive(code, output_hook=hear, timeout=4 * PATIENCE_S)
    address, numbers = json.loads("".join(printed))
    return Address(*address), numbers
