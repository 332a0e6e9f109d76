"""Execute the notebooks and save them with their outputs: `make notebooks`.

What is committed under `notebooks/` is made by this command and no other way, so
that each page has run top to bottom on a clean kernel and looks the same whoever
ran it:

- The kernel is a temporary one of the Python that runs this file. The user's own
  kernels, IPython start-up files and matplotlibrc are not looked at.
- A page is executed in the folder where it lies, as in JupyterLab.
- NETLAB_MODE reaches the pages: `NETLAB_MODE=replay` executes them from recordings.
- The first error ends it: the cell and the traceback are printed, the page on disk
  stays as it was, and later pages are not run.
- Saved are outputs and counts, and little else: no time stamps, no version of
  Python, no path of this machine. Cells keep their ids. Progress bars are removed; the
  state of widgets is kept only if a cell still shows one.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

ROOT = Path(__file__).resolve().parents[1]
KERNEL = "python3"
KERNELSPEC = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": KERNEL,
}
FILE = "{connection_file}"  # jupyter_client fills it in
PROGRAMS = str(Path(sys.executable).parent)  # `!python` is this one, too
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ENCODED = {"image/png", "image/jpeg"}  # base64: no text to look into
CELL_TIMEOUT_S = 300  # a page takes about a minute; this only ends what hangs
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Where ipykernel pretends that a cell's text lies; the number is the process id.
CELL_FILE = re.compile(r"[^\s\"']*/ipykernel_\d+/\d+\.py")


class PageError(Exception):
    """A page did not run to its end; the text says where and why."""


class CellTime(NamedTuple):
    """How long a cell took; `number` counts all cells, from 1."""

    took_s: float
    number: int


@contextmanager
def clean_kernel() -> Iterator[Path]:
    """Yield a folder with a temporary kernel: this Python, no user's settings."""
    with tempfile.TemporaryDirectory(prefix="netlab-kernel-") as folder:
        home = Path(folder)
        (home / "matplotlibrc").touch()
        spec = {
            **KERNELSPEC,
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", FILE],
            "env": {
                "IPYTHONDIR": str(home / "ipython"),
                "MATPLOTLIBRC": str(home / "matplotlibrc"),
                "PATH": os.pathsep.join([PROGRAMS, os.environ.get("PATH", "")]),
                "TQDM_DISABLE": "1",  # bars of text; for the others see normalise
            },
        }
        kernel = home / "kernels" / KERNEL
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(json.dumps(spec))
        yield home


def kernel_manager(home: Path) -> AsyncKernelManager:
    """What starts the kernel of that folder.

    It is spoken to through files, not ports: a port is looked for first and taken
    later, and on a machine on which servers start and stop it may be gone by then.
    """
    specs = KernelSpecManager(
        kernel_dirs=[str(home / "kernels")], ensure_native_kernel=False
    )
    return AsyncKernelManager(
        kernel_name=KERNEL,
        kernel_spec_manager=specs,
        transport="ipc",
        ip=str(home / "socket"),
    )


def read(path: Path) -> Any:
    """Read a notebook; a cell without an id gets one that does not change."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(content["cells"], start=1):
        cell.setdefault("id", f"cell-{number}")
    content["nbformat"], content["nbformat_minor"] = 4, 5
    return nbformat.reads(json.dumps(content), as_version=4)


def run(
    notebook: Any, folder: Path, kernel: Path, timeout_s: int
) -> tuple[Any, list[CellTime]]:
    """Execute the notebook in `folder`, on a fresh kernel (see `clean_kernel`).

    Returns it with its outputs, and the time of each cell that ran. Raises PageError at
    the first cell that fails, hangs or kills its kernel.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        km=kernel_manager(kernel),
        timeout=timeout_s,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    started, times = timed(client)
    try:
        asyncio.run(client.async_execute(cleanup_kc=True))
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        raise PageError(describe(error, notebook, list(started))) from error
    return notebook, times


def timed(client: NotebookClient) -> tuple[dict[int, float], list[CellTime]]:
    """When each cell began, by its index, and the times of those that ended well."""
    started: dict[int, float] = {}
    times: list[CellTime] = []

    def begin(cell: Any, cell_index: int) -> None:
        started[cell_index] = time.monotonic()

    def end(cell: Any, cell_index: int, execute_reply: Any) -> None:
        took_s = time.monotonic() - started[cell_index]
        times.append(CellTime(took_s, cell_index + 1))

    client.on_cell_start, client.on_cell_executed = begin, end
    return started, times


def describe(error: Exception, notebook: Any, started: list[int]) -> str:
    """Which cell failed, its source and the kernel's own words."""
    words = ANSI_COLOUR.sub("", getattr(error, "traceback", None) or str(error)).strip()
    if not started:
        return f"before the first cell:\n\n{words}"
    source = notebook.cells[started[-1]].source
    place = f"cell {started[-1] + 1} of {len(notebook.cells)}"
    return f"{place}:\n\n{source}\n\n{words}"


def normalise(notebook: Any) -> Any:
    """Remove from an executed notebook what depends on machine, day or user."""
    metadata = notebook.metadata
    bars = progress_bars(metadata.get("widgets", {}))
    shows_widget = False
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata.pop("ExecuteTime", None)
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if widget_in(output) not in bars]
            cell.outputs = [clean(output, anonymous) for output in kept]
            shows_widget |= any(map(widget_in, kept))
    if not shows_widget:
        metadata.pop("widgets", None)
    metadata.kernelspec = KERNELSPEC
    metadata.language_info = {"name": "python", "file_extension": ".py"} | {
        "mimetype": "text/x-python",
        "pygments_lexer": "ipython3",
    }
    return notebook


def widget_in(output: Any) -> str | None:
    """The id of the widget that this output shows, None for any other output."""
    return output.get("data", {}).get(WIDGET_VIEW, {}).get("model_id")


def progress_bars(widgets: Any) -> set[str]:
    """The ids of tqdm's bars: boxes of a text, a bar and a text.

    They tell how long it took on one day, and no page is worse without them.
    """
    models = widgets.get(WIDGET_STATE, {}).get("state", {})
    bars = {f"IPY_MODEL_{k}" for k, m in models.items() if "Progress" in m.model_name}
    return {
        key
        for key, model in models.items()
        if model.model_name == "HBoxModel" and bars & set(model.state.children)
    }


def clean(value: Any, change: Callable[[str], str]) -> Any:
    """The same nested value with `change` applied to each string in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [clean(item, change) for item in value]
    if isinstance(value, dict):
        return type(value)(
            {
                key: item if key in ENCODED else clean(item, change)
                for key, item in value.items()
            }
        )
    return value


def anonymous(text: str) -> str:
    """The text without the folders of this machine: they become `.` and `~`."""
    if "/ipykernel_" in text:  # a picture is long, and the pattern slow on it
        text = CELL_FILE.sub("<cell>", text)
    for folder, name in (
        (str(ROOT), "."),
        (sys.prefix, "<python>"),
        (sys.base_prefix, "<python>"),
        (str(Path.home()), "~"),
    ):
        if folder.count("/") > 1 or folder == "/root":  # "/usr" says nothing
            text = re.sub(re.escape(folder) + r"(?![\w.-])", name, text)
    return text


def write(notebook: Any, path: Path) -> None:
    """Write the whole file or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)


def execute(pages: list[Path], out: Path | None, timeout_s: int) -> None:
    """Execute the pages in their order, printing the time of each and its slowest.

    They are saved in place, or into the folder `out`. Raises PageError.
    """
    with clean_kernel() as kernel:
        for page in pages:
            print(f"{page.name:36}", end=" ", flush=True)
            start = time.monotonic()
            folder = page.resolve().parent
            notebook, times = run(read(page), folder, kernel, timeout_s)
            write(normalise(notebook), out / page.name if out else page)
            took_s, slowest = time.monotonic() - start, max(times, default=None)
            print(f"{took_s:6.1f} s{told(slowest, len(notebook.cells))}", flush=True)


def told(slowest: CellTime | None, of_cells: int) -> str:
    """The words for a page's slowest cell, none if no cell ran."""
    if slowest is None:
        return ""
    return f", slowest cell {slowest.number} of {of_cells}: {slowest.took_s:.1f} s"


def main() -> None:
    """Command line: `execute.py [--out FOLDER] [--timeout SECONDS] [PAGE ...]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="all of notebooks/")
    parser.add_argument("--out", type=Path, help="save there, not in place")
    parser.add_argument(
        "--timeout", type=int, default=CELL_TIMEOUT_S, help="seconds a cell may take"
    )
    arguments = parser.parse_args()
    pages = arguments.pages or sorted((ROOT / "notebooks").glob("*.ipynb"))
    try:
        execute(pages, arguments.out, arguments.timeout)
    except PageError as error:
        sys.exit(f"FAILED\n\n{error}")


if __name__ == "__main__":
    main()
