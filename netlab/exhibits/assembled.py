"""A stage's file, read once more, in which some names mean something else.

Facts. `Stage.start` of a stage makes the `Worker` that its file defines. A subclass of
`Worker` in another file is therefore never made by it.

Decision. The file is run again as a module of its own, and then the given names are
replaced in that module alone. So a broken part needs no second copy of the server
around it, and the stage's text needs no hook for it.

Cost. The classes of the copy are not those of the stage: isinstance tells them apart.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any


def assembled(stage: ModuleType, parts: dict[str, Any]) -> ModuleType:
    """Return a copy of a stage's module, with these parts in place of its own.

    Raises ValueError for a part that the stage does not have, and if it has no file.
    """
    spec = stage.__spec__
    if spec is None or spec.loader is None:
        raise ValueError(f"{stage!r}: give a module that has a file, such as stages.s3")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    for name, part in parts.items():
        if not hasattr(copy, name):
            raise ValueError(f"part {name!r}: {stage.__name__} has no such name")
        setattr(copy, name, part)
    copy.Stage.fails = copy.FAILS
    return copy
