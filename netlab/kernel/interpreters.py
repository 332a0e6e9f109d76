"""Another Python on this machine, in which a server can run: one without a GIL.

Facts. Since 3.13 CPython can be built without its global interpreter lock, as a program
of its own, such as python3.14t. Such a build can still be told to have the lock:
PYTHON_GIL=1, and an extension that needs the lock switches it on. Numba does not
install there, so the load's compiled clients cannot run in it.

Decision. What needs no GIL is therefore run in the other interpreter, as a process that
imports netlab from here, while the load stays where Numba is. NETLAB_FREE_THREADED
names it; else the names that such builds usually have are looked for on the PATH. What
it lacks is found out before a study begins, by asking it. A note of the study tells why
there is none.

A reader gets one by `uv python install 3.14t`, or from conda-forge
(python-freethreading), and installs NEEDED in it. What may not be put here: what is
run in it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from typing import NamedTuple

VARIABLE = "NETLAB_FREE_THREADED"
COMMANDS = ("python3.14t", "python3.13t")
NEEDED = ("numpy", "pandas", "psutil")
GIL = "PYTHON_GIL"  # read by such a build only
QUESTION = f"""
import json, platform, sysconfig
from importlib.util import find_spec
print(json.dumps([
    platform.python_version(),
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    [name for name in {NEEDED!r} if find_spec(name) is None],
]))
"""
TIMEOUT_S = 20.0
REMEDY = (
    f"set {VARIABLE} to the path of one that has {', '.join(NEEDED)}; "
    "`uv python install 3.14t` or conda-forge's python-freethreading bring it"
)


class Interpreter(NamedTuple):
    """A Python by its path, its version, and whether it is told to have a GIL."""

    path: str
    version: str
    gil: bool = False

    def environment(self) -> dict[str, str]:
        """Return what it must find in its environment beside ours."""
        return {GIL: str(int(self.gil)), "PYTHONDONTWRITEBYTECODE": "1"}


def free_threaded() -> Interpreter:
    """Return a free-threaded Python of this machine.

    Raises LookupError with the reason and the remedy if there is none.
    """
    named = os.environ.get(VARIABLE)
    found = filter(None, map(shutil.which, [named] if named else COMMANDS))
    path = next(found, None)
    if path is None:
        where = f"{VARIABLE}={named!r} is no program" if named else "there is none here"
        raise LookupError(f"a free-threaded Python: {where}; {REMEDY}")
    version, built, lacking = asked(path)
    if not built:
        raise LookupError(f"{VARIABLE}: Python {version} there has a GIL; {REMEDY}")
    if lacking:
        raise LookupError(
            f"the free-threaded Python {version} here lacks {', '.join(lacking)}; "
            f"{REMEDY}"
        )
    return Interpreter(path, version)


@functools.cache
def asked(path: str) -> tuple[str, bool, list[str]]:
    """Return an interpreter's version, whether it is built without a GIL, its lacks.

    Raises LookupError for a program that is no Python.
    """
    import subprocess  # where netlab is only replayed, a part of it may be missing

    try:
        done = subprocess.run(
            [path, "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        version, built, lacking = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LookupError(
            f"{path} does not answer as a Python does ({type(error).__name__}); "
            f"{REMEDY}"
        ) from error
    return version, built, lacking
