"""Each number that the prose states, and what it is bound to: a module a page.

A page that states a measured number has a row in BOUND, with the words around it. They
are filled in from the recordings, or from numbers that others published, and must stand
in the page just so: who records a study anew, and finds something else, is told by
test_prose.py which words to write. What a cell computes needs no row.

A number that looks measured and is not, such as a setting or a threshold, has a row
in STATED, with its kind. No other number may look measured.
"""

from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = [
    import_module(f"tests.prose.{path.stem}")
    for path in sorted(FOLDER.glob("p*.py"))  # page_00 and on, published
]
BOUND = [row for module in MODULES for row in module.BOUND]
STATED = [row for module in MODULES for row in module.STATED]
