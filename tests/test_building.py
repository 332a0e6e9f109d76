"""The pages that build the server: their cells are the stages' text, and run as one.

Whoever copies the cells of pages 01 to N into one file, in order, has stage N. So each
class and function there is compared with the stage's file, without docstrings and
annotations; and the cells are run together and judged by the suite.
"""

import ast
import re
import sys
import types
from pathlib import Path

import nbformat
import pytest

from netlab.stages import judge, loops, s1, s2, s3, s4, s5
from tests.bounded import linux

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
STAGES = {  # whose text each page has, and what it ends with
    "01": ((s1,), (s1,)),
    "02": ((s2,), (s2,)),
    "03": ((loops, s3), (loops, s3)),
    "04": ((), ()),
    "05": ((s4, s5), (s5,)),
}
LEFT = re.compile(r"# As page 0[1-4] left it\.$", flags=re.M)
A_STAGE = re.compile(r"netlab\.stages\.(s\d|loops)")
OTHERWISE = {  # a definition that is another one on the way, and why
    ("03", "LOOPS"): "edge-triggering comes later on the page",
}
BUILDING = [number for number, (stages, _) in STAGES.items() if stages]

every = pytest.mark.parametrize("number", STAGES)
building = pytest.mark.parametrize("number", BUILDING)


def cells_of(number):
    """The code of a page's cells; a page of the series that is missing is an error."""
    paths = sorted(NOTEBOOKS.glob(f"{number}-*.ipynb"))
    assert paths, f"page {number} is missing in notebooks/"
    cells = nbformat.read(paths[0], as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def built_by(number):
    """The cells of a page that a reader copies: not the state that others left."""
    return [text for text in cells_of(number) if not LEFT.match(text)]


def up_to(number):
    return [other for other in STAGES if other <= number]


def is_kept(node):
    """Whether a copied file has it: imports, classes, functions and constants."""
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    return isinstance(node, kinds)


def kept_of(number):
    """The nodes of a page that a copied file has, in order."""
    for text in built_by(number):
        yield from filter(is_kept, ast.parse(text).body)


class Bare(ast.NodeTransformer):
    """Takes docstrings and annotations away."""

    def visit_FunctionDef(self, node):
        node.returns = None
        for one in (*node.args.args, *node.args.kwonlyargs, node.args.vararg):
            if one is not None:
                one.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        if node.value is None:
            return ast.Expr(node.target)
        return ast.Assign([node.target], node.value)


def bare(node):
    return ast.unparse(ast.fix_missing_locations(Bare().visit(node)))


def definitions(nodes):
    """The name and the bare text of each definition, methods by Class.method."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            yield node.name, bare(node)
        elif isinstance(node, ast.ClassDef):
            yield f"{node.name}.", ""
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", bare(inner)
                elif isinstance(inner, (ast.Assign, ast.AnnAssign)):
                    text = bare(inner)
                    yield f"{node.name}.{text.partition(' =')[0]}", text
        elif isinstance(node, ast.Assign) and is_kept(node):
            yield node.targets[0].id, bare(node)


def begins_anew(node):
    """Whether a class is another one than that of its name before."""
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return node.name not in bases


def defined_by(nodes):
    """What is defined after all of these, the last of each name; a new class is new."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.ClassDef) and begins_anew(node):
            own = f"{node.name}."
            found = {k: text for k, text in found.items() if not k.startswith(own)}
        found |= dict(definitions([node]))
    return found


def texts_of(module):
    """What a stage's file defines."""
    tree = ast.parse(Path(module.__file__).read_text())
    return dict(definitions(filter(is_kept, tree.body)))


@every
def test_a_page_begins_as_the_one_before_left_it_and_takes_no_other_stage(number):
    left = [text for text in cells_of(number) if LEFT.match(text)]
    assert len(left) == (number > "01")
    for text in built_by(number):
        for node in ast.walk(ast.parse(text)):
            names = [getattr(node, "module", None) or ""]
            names += [one.name for one in getattr(node, "names", []) if one]
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert not A_STAGE.search(" ".join(names)), text


@building
def test_what_a_page_defines_is_a_stage_s_own_text(number):
    texts = [texts_of(module) for module in STAGES[number][0]]
    classes = {name for one in texts for name in one if name.endswith(".")}
    for name, text in definitions(kept_of(number)):
        known = {one[name] for one in texts if name in one}
        is_of_a_stage = known or name.partition(".")[0] + "." in classes
        if is_of_a_stage and (number, name) not in OTHERWISE:
            assert text in known, f"page {number} has {name} otherwise"


@building
def test_after_a_page_all_of_its_stage_is_defined(number):
    nodes = [node for other in up_to(number) for node in kept_of(other)]
    found, wanted = defined_by(nodes), {}
    for module in STAGES[number][1]:
        wanted |= texts_of(module)
    wrong = {name for name, text in wanted.items() if found.get(name) != text}
    assert wrong == set()


def test_exceptions_are_about_what_there_is_and_is_otherwise():
    for number, name in OTHERWISE:
        texts = [texts_of(module) for module in STAGES[number][0]]
        known = {one[name] for one in texts if name in one}
        here = {text for own, text in definitions(kept_of(number)) if own == name}
        assert here - known


@pytest.fixture
def copied(monkeypatch):
    """A module of the cells of pages 01 to N, as a reader would copy them."""

    def copy(number):
        module = types.ModuleType("copied")
        monkeypatch.setitem(sys.modules, "copied", module)
        for other in up_to(number):
            for text in built_by(other):
                tree = ast.parse(text)
                tree.body = list(filter(is_kept, tree.body))
                exec(compile(tree, f"page {other}", "exec"), module.__dict__)
        return module

    return copy


@linux
@pytest.mark.timeout(60)
@building
def test_the_cells_of_all_pages_so_far_are_a_server_that_passes_the_suite(
    number, copied
):
    stage = copied(number).Stage
    assert stage.fails == STAGES[number][1][-1].FAILS
    rows = judge.judge(stage)
    assert judge.surprises(rows).empty, judge.surprises(rows).to_string()


# --- the comparison sees what it is to see


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("def f(a):\n    return a", False),
        ('def f(a: int) -> int:\n    """Say."""\n    return a', False),
        ("def f(a):\n    return a + 1", True),
        ("def f(b):\n    return b", True),
    ],
)
def test_another_text_is_seen_and_another_docstring_is_not(change, seen):
    (before,) = definitions(ast.parse("def f(a):\n    return a").body)
    (after,) = definitions(ast.parse(change).body)
    assert (before != after) == seen


def test_a_class_that_begins_anew_forgets_the_one_before():
    text = "class A:\n    x = 1\nclass A(A):\n    y = 2\n"
    assert {"A.x", "A.y"} <= set(defined_by(ast.parse(text).body))
    assert "A.x" not in defined_by(ast.parse(text + "class A:\n    z = 3").body)
