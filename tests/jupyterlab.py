"""A JupyterLab of its own, a Chromium that looks at it, and what is left of a page.

The processes of a JupyterLab are those that have its folder in their environment, so
one whose parent is gone is found, too.
"""

import collections
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.bounded import ROOT, free_port, thread_names, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "course"
START_S = 60.0
PATIENCE_MS = 300_000  # for a page, on a machine that does much else
ANSWER_MS = 30_000
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}
NEWS = "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"


class Lab(NamedTuple):
    """A running JupyterLab: where it is, its process, its folder."""

    address: str
    pid: int
    home: Path

    def processes(self):
        """All that it started, however far down, and whether or not it knows."""
        found = {one.pid: one for one in psutil.Process(self.pid).children(True)}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                home = process.environ().get("JUPYTER_CONFIG_DIR")
                if home == str(self.home / "config") and process.pid != self.pid:
                    found[process.pid] = process
        return list(found.values())

    def kernels(self):
        return [one for one in self.processes() if is_kernel(one)]

    def left_behind(self):
        """What there is beyond kernels that rest: processes, and threads of ours."""
        kernels = self.kernels()
        left = [told(one) for one in self.processes() if one not in kernels]
        for kernel in kernels:
            with contextlib.suppress(OSError):  # it ends
                names = thread_names(kernel.pid)
                left += [name for name in names if name.startswith("netlab-")]
        return left


def is_kernel(process):
    with contextlib.suppress(psutil.Error):
        return "ipykernel_launcher" in process.cmdline()
    return False


def told(process):
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {process.status()}: {' '.join(process.cmdline()[:4])}"
    return f"{process.pid}: it ends"


def holds(kernel):
    """What a kernel has open, by kind: descriptors without fonts, and listeners."""
    kinds = collections.Counter()
    for link in Path(f"/proc/{kernel.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            kinds[os.readlink(link).split(":[")[0]] += 1
    kinds["listeners"] = sum(
        one.status == psutil.CONN_LISTEN for one in kernel.net_connections("tcp")
    )
    return {kind: count for kind, count in kinds.items() if ".ttf" not in kind}


@contextlib.contextmanager
def lab(home):
    """Start a JupyterLab in a folder, with settings and copies of the pages there."""
    port = free_port()
    (home / NEWS).parent.mkdir(parents=True)
    (home / NEWS).write_text('{"fetchNews": "false"}')
    shutil.copytree(ROOT / "notebooks", home / "course" / "notebooks")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={home / 'course'}",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    environment = os.environ | {name: str(home / sub) for name, sub in FOLDERS.items()}
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: answers(port) or server.poll() is not None, START_S)
        assert server.poll() is None, (home / "log").read_text()
        yield Lab(f"http://127.0.0.1:{port}", server.pid, home)
    finally:
        server.terminate()
        server.wait(60)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def chromium(profile):
    """Start a Chromium; yields a tab, and the errors on its console so far."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            str(profile),
            executable_path=CHROMIUM,
            headless=True,
            viewport={"width": 1200, "height": 1000},
            args=FLAGS,
        )
        browser.add_init_script(path=ROOT / "tests/jupyterlab.js")
        tab, errors = browser.new_page(), []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on(
            "console",
            lambda said: errors.append(said.text) if said.type == "error" else None,
        )
        yield tab, errors
        browser.close()


class Page:
    """A notebook that is open in a tab; its kernel rests."""

    def __init__(self, lab, tab, name):
        self.lab, self.tab = lab, tab
        tab.goto(f"{lab.address}/lab/tree/notebooks/{name}?token={TOKEN}&reset")
        tab.wait_for_function("() => window.netlab?.idle()", timeout=PATIENCE_MS)

    def ask(self, call):
        """What one of the functions of jupyterlab.js returns."""
        return self.tab.evaluate(f"netlab.{call}")

    def until(self, condition, timeout_ms=ANSWER_MS):
        self.tab.wait_for_function(f"() => netlab.{condition}", timeout=timeout_ms)

    def say(self, text):
        """What a text prints that the kernel runs, in no cell."""
        return self.tab.evaluate("text => netlab.say(text)", text)

    def run_all(self):
        """Run all cells; return for how long each ran, as far as one could see."""
        self.ask("runAll()")
        self.until("done()", PATIENCE_MS)
        return {int(at): s for at, s in self.ask("seen()")["seconds"].items()}

    def run_until_in(self, cell, after_s):
        """Run all cells until this one has run for a while."""
        self.ask("runAll()")
        condition = (
            f"seen().seconds[{cell}] >= {after_s} && netlab.running() === {cell}"
        )
        self.until(condition, PATIENCE_MS)

    def interrupt(self):
        self.ask("command('notebook:interrupt-kernel')")
        self.until("done()")

    def restart(self):
        """Restart the kernel, and say yes when asked whether that is meant."""
        self.ask("command('notebook:restart-kernel')")
        self.tab.click(".jp-Dialog button.jp-mod-accept", timeout=ANSWER_MS)
        self.tab.wait_for_selector(".jp-Dialog", state="detached", timeout=ANSWER_MS)

    def theme(self, name):
        self.ask(f"command('apputils:change-theme', {{theme: 'JupyterLab {name}'}})")
        body = f"body[data-jp-theme-name='JupyterLab {name}']"
        self.tab.wait_for_selector(body, state="attached")
