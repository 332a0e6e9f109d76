"""The pages in JupyterLab, in a real Chromium: Run All, twice, and nothing left.

Each page takes a minute, so there are three of them unless NETLAB_PROVE is set.
Screenshots go to the folder named by NETLAB_SCREENSHOTS, if it is set.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOME = ("00", "06", "12")  # the others, too, if NETLAB_PROVE is set
if "NETLAB_PROVE" not in os.environ:
    PAGES = [name for name in PAGES if name.startswith(SOME)]
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
PATIENCE_MS = 120_000

IDLE = """() => {
  const page = window.jupyterapp?.shell.currentWidget;
  const kernel = page?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel?.status === "idle";
}"""
DONE = """() => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
  const code = cells.filter(
    (cell) => cell.type === "code" && cell.sharedModel.getSource().trim());
  const outputs = code.flatMap((cell) =>
    Array.from({length: cell.outputs.length}, (_, i) => cell.outputs.get(i).toJSON()));
  const errors = outputs.filter((one) => one.output_type === "error");
  const pictures = outputs.filter(
    (one) => String(one.data?.["text/html"]).includes("<img "));
  const counted = code.filter((cell) => cell.executionCount !== null);
  if (!errors.length && counted.length < code.length) return null;
  return {cells: code.length, pictures: pictures.length,
          errors: errors.map((one) => `${one.ename}: ${one.evalue}`)};
}"""

pytestmark = [
    pytest.mark.timeout(420),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt: chromium)"),
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab with settings of its own, and its process."""
    home, port = tmp_path_factory.mktemp("jupyter"), free_port()
    news = home / "settings/@jupyterlab/apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
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
    environment = os.environ | {name: str(home / sub) for name, sub in folders.items()}
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        await_port(port, server)
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def await_port(port, server):
    ends = time.monotonic() + 60
    while time.monotonic() < ends and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("JupyterLab did not start")


@pytest.fixture
def tab(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            headless=True,
            viewport={"width": 1200, "height": 1000},
            args=FLAGS,
        )
        yield browser.new_page()
        browser.close()


def run_all(tab):
    tab.evaluate("window.jupyterapp.commands.execute('editmenu:clear-all')")
    tab.evaluate("{window.jupyterapp.commands.execute('runmenu:run-all')}")
    done = tab.wait_for_function(DONE, timeout=PATIENCE_MS).json_value()
    tab.wait_for_function(IDLE, timeout=PATIENCE_MS)
    return done


def left_behind(jupyter):
    """Return what the kernels have beyond themselves: children, workers, listeners."""
    kernels = jupyter.children()
    assert kernels
    names = {
        Path(f"/proc/{kernel.pid}/task/{thread.id}/comm").read_text().strip()
        for kernel in kernels
        for thread in kernel.threads()
    }
    return [
        *(child.name() for kernel in kernels for child in kernel.children()),
        *(name for name in names if name.startswith("netlab-")),
    ]


@pytest.mark.parametrize("name", PAGES)
def test_runs_twice_without_error_and_leaves_nothing(jupyterlab, tab, name):
    address, jupyter = jupyterlab
    tab.goto(f"{address}/lab/tree/notebooks/{name}?token={TOKEN}&reset")
    tab.wait_for_function(IDLE, timeout=PATIENCE_MS)
    first, second = run_all(tab), run_all(tab)
    assert first == second
    assert first["errors"] == []
    assert first["pictures"] >= 1
    assert left_behind(jupyter) == []
    if folder := os.environ.get("NETLAB_SCREENSHOTS"):
        tab.screenshot(path=str(Path(folder) / f"{Path(name).stem}.png"))
