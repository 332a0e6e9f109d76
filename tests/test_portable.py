"""Recorded studies are replayed and drawn without Linux, and so are the pages.

A fresh interpreter is made to look like another system: it says so, the modules that
only Unix or only Linux has cannot be imported, and their names are gone from those that
all systems have. What other projects wrote is imported before; they have builds of
their own for other systems.
"""

from collections import Counter

import pytest

from netlab.server import engines
from netlab.study import catalogue, recordings
from tests.bounded import linux
from tests.test_pages import ALL, REPLAYABLE, pictures_in
from tests.test_recordings import COMMAND, SMALL, small

SYSTEMS = {"darwin": "Darwin", "win32": "Windows"}

ELSEWHERE = """
    import mmap, os, platform, select, signal, socket, sys
    import matplotlib.backends.backend_agg, matplotlib.figure, PIL.PngImagePlugin
    import numba, pandas, psutil, scipy.stats, tqdm.auto

    system, name, *folders = sys.argv[1:]
    GONE = {"fcntl", "resource", "termios", "grp", "pwd", "tty", "pty", "liburing"}
    NAMES = {
        os: "sched_ eventfd EFD_ pidfd posix_fallocate memfd splice",
        select: "epoll EPOLL",
        signal: "pidfd",
        socket: "SO_REUSEPORT SO_INCOMING SO_ATTACH TCP_INFO AF_NETLINK",
    }
    WINDOWS = {
        os: "geteuid getuid fork killpg sysconf uname",
        select: "poll POLL",
        signal: "SIGPIPE SIGKILL SIGALRM pthread",
        socket: "AF_UNIX",
        mmap: "MAP_ PROT_",
    }

    class Gone:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in GONE:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def take(names):
        for module, starts in names.items():
            for own in list(vars(module)):
                if own.startswith(tuple(starts.split())):
                    delattr(module, own)

    for own in GONE:
        sys.modules.pop(own, None)
    sys.meta_path.insert(0, Gone())
    take(NAMES)
    if system == "win32":
        take(WINDOWS)
    sys.platform = system
    platform.system = lambda: name
"""
IMPORTED = """
    import importlib, pkgutil
    import netlab, netlab.show
    from netlab.study import recordings, replay

    for one in pkgutil.iter_modules(netlab.show.__path__, "netlab.show."):
        importlib.import_module(one.name)
    from netlab.__main__ import main

    assert main(["doctor"]) == 0
"""
REPLAYED = """
    from pathlib import Path
    from netlab.show import figures, plots
    from netlab.study import catalogue, datapackage, recordings, replay

    for folder in folders:
        datapackage.DATA = Path(folder)
        for one in recordings.names():
            found = replay.study(one)
            assert found.mode == "replayed"
            assert f"Linux: {name}." in found.notes[-1]
            stamp = figures.stamp(found.machine, engine="compiled", mode=found.mode)
            for drawing in catalogue.find(one).drawings:
                table, options = found.tables[drawing.table], drawing.options(found)
                shown = plots.show(drawing.plot, table, stamp=stamp, **options)
                assert shown.png and shown.alt and "replayed from" in shown.stamp
                print(one, drawing.plot)
"""

# A kernel waits by epoll itself, so the cells run in the shell that a kernel has.
PAGES_REPLAYED = """
    import json
    from pathlib import Path
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    settings, *pages = folders
    os.environ["IPYTHONDIR"] = settings
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    for page in pages:
        os.chdir(Path(page).parent)
        shell.reset(new_session=False)
        shown = ""
        for cell in json.loads(Path(page).read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                with capture_output() as said:
                    done = shell.run_cell("".join(cell["source"]), store_history=True)
                done.raise_error()
                assert not said.stderr, (page, cell["source"], said.stderr)
                last = shell.display_formatter.format(done.result)[0]
                bundles = [*(output.data for output in said.outputs), last]
                shown += "".join(bundle.get("text/html", "") for bundle in bundles)
        print(Path(page).stem, shown.count("<img "), shown.count("replayed from"))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The project's recordings, and small ones of every study."""
    if reason := engines.find("compiled").missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("recordings")
    for name in SMALL:
        recordings.record(small(name), command=COMMAND, folder=folder)
    return recordings.home_of(None), folder


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_replayed_page_needs_imports_elsewhere(fresh, system):
    assert "Linux" in fresh(ELSEWHERE + IMPORTED, system, SYSTEMS[system])


@linux
@pytest.mark.timeout(300)  # the first of them runs all studies
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_recording_is_replayed_and_drawn_elsewhere(fresh, packages, system):
    words = fresh(ELSEWHERE + REPLAYED, system, SYSTEMS[system], *packages)
    drawn = Counter(zip(words[::2], words[1::2], strict=True))
    assert drawn == Counter(
        (row.name, drawing.plot)
        for row in catalogue.STUDIES
        for drawing in row.drawings
        for folder in packages
        if row.name in recordings.names(folder)
    )


@linux
@pytest.mark.timeout(330)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_page_that_can_be_replayed_runs_elsewhere(fresh, tmp_path, system):
    place = list(SYSTEMS).index(system)  # every second page each, unless all are asked
    pages = REPLAYABLE if ALL else REPLAYABLE[place :: len(SYSTEMS)]
    words = fresh(
        ELSEWHERE + PAGES_REPLAYED,
        *(system, SYSTEMS[system], tmp_path, *pages),
        timeout_s=300,
    )
    told = {words[at]: words[at + 1 : at + 3] for at in range(0, len(words), 3)}
    assert told.keys() == {path.stem for path in pages}
    for path in pages:
        figures, replayed = map(int, told[path.stem])
        assert figures == pictures_in(path)
        assert replayed >= figures
