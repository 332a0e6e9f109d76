"""What the measures of one run share: servers, settings, CPUs, what is missing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import client, peers
from benchmarks.running import ROOT, Missing, Running, started
from benchmarks.settings import Settings, chosen
from netlab.kernel import machine

Numbers = dict[str, Any]


class Case(NamedTuple):
    """One thing to measure on one subject; `once`: its numbers do not vary."""

    measure: str
    subject: str
    act: Callable[[], Numbers]
    once: bool = False


class Bench:
    """One benchmark: ends what it started when its `stack` is closed."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.servers: dict[str, Running] = {}
        self.missing: list[dict[str, str]] = []
        allowed = list(machine.cpus_allowed())
        self.server_cpus, self.load_cpus = allowed[:1], allowed[1:] or allowed

    def lack(self, measure: str, subject: str, reason: str) -> None:
        """Note what cannot be shown here; the places of this machine are left out."""
        for place in (self.folder, ROOT):
            reason = reason.replace(str(place), ".")
        self.missing.append({"measure": measure, "subject": subject, "reason": reason})

    def start_all(self) -> None:
        """Start the servers asked for; those that this machine lacks are noted."""
        for name in chosen("server", self.settings.only, peers.NAMES):
            try:
                self.servers[name] = self.stack.enter_context(self.fresh(name))
            except Missing as reason:
                self.lack("server", name, str(reason))

    def fresh(self, name: str) -> contextlib.AbstractContextManager[Running]:
        """Return a new process of a server, to be entered; Missing if it cannot be."""
        peer = peers.find(name)
        if reason := peer.lacks():
            raise Missing(f"not here: {reason}")
        return self.run(name, peer.command(self.new_folder()), self.server_cpus)

    def run(
        self, name: str, command: list[str], cpus: list[int]
    ) -> contextlib.AbstractContextManager[Running]:
        """Return a server by its command, to be entered."""
        return started(name, command, self.new_folder(), cpus)

    def new_folder(self) -> Path:
        """Return an empty folder that ends with the benchmark."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def target(self) -> Running:
        """Return the fastest server there is, to measure loads with."""
        if not self.servers:
            raise Missing("no server runs")
        return next(iter(self.servers.values()))

    def require_equal_answers(self) -> None:
        """Raise ValueError unless all servers give answers of the same length."""
        for last in (False, True):
            found = {
                name: client.length(server.address, last=last)
                for name, server in self.servers.items()
            }
            if len(set(found.values())) > 1:
                raise ValueError(f"answers differ in length, in bytes: {found}")


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Bench]:
    """Yield a benchmark without servers; end all that it starts meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(settings, Path(folder))
        with bench.stack:
            yield bench
