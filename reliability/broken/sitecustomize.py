"""Makes an interpreted server fail, when its folder is in PYTHONPATH.

Python imports a module of this name as it starts, also in the process that forks
workers. /bytes/13 then costs an error in serving it, /bytes/14 the worker itself.
"""

from __future__ import annotations

from typing import Any

from netlab.protocol import Request
from netlab.server import serving

healthy = serving.answer


def answer(request: Request, **who: Any) -> tuple[bytes, int]:
    """Answer, or fail."""
    if request.argument == 13:
        raise ZeroDivisionError("asked for by /bytes/13")
    if request.argument == 14:
        raise SystemExit("asked for by /bytes/14")
    return healthy(request, **who)


serving.answer = answer
