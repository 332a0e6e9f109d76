"""The project's own files say the same thing wherever they say it twice."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import netlab

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_SPECS = [spec for spec in ENVIRONMENT["dependencies"] if isinstance(spec, str)]
PIP_SPECS = next(d for d in ENVIRONMENT["dependencies"] if isinstance(d, dict))["pip"]

# What conda-forge calls differently; the "core" and "base" ones bring neither Qt
# nor pandoc.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "nbconvert": "nbconvert-core",
    "playwright": "playwright-python",
}
CONDA_ONLY = {"python", "pip"}


def requirements():
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + extras["test"] + extras["bench"] + extras["site"]
    return [Requirement(line) for line in lines]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines]


def machines(requirement):
    """Where it is wanted: the conditions of its marker, in any order."""
    return set(str(requirement.marker or "").split(" and "))


def files_of_the_repository():
    git = ["git", "-c", "safe.directory=*"]
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_conda_and_pip_install_the_same():
    wanted = {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in requirements()}
    by_conda = dict(spec.split(" ") for spec in CONDA_SPECS if " " in spec)
    by_pip = {r.name: str(r.specifier) for r in map(Requirement, PIP_SPECS[:-1])}
    somewhere = {r.name: machines(r) for r in requirements() if r.marker}
    python = by_conda.pop("python")
    assert by_conda | by_pip == wanted
    assert python == PROJECT["requires-python"]
    assert {r.name: machines(r) for r in map(Requirement, PIP_SPECS[:-1])} == somewhere
    assert PIP_SPECS[-1] == "-e ."


def test_conda_specs_without_a_bound_are_conda_s_own():
    assert {s for s in CONDA_SPECS if " " not in s} <= CONDA_ONLY


@pytest.mark.parametrize("spec", CONDA_SPECS)
def test_conda_reads_the_spec(spec):
    assert rattler.MatchSpec(spec, strict=True).name is not None


def test_every_dependency_is_pinned_within_its_bounds():
    pinned = {canonicalize_name(pin.name): pin for pin in pins()}
    for requirement in requirements():
        pin = pinned[canonicalize_name(requirement.name)]
        assert machines(pin) == machines(requirement), pin.name
        (version,) = pin.specifier
        assert requirement.specifier.contains(version.version)


def test_pins_are_exact_and_name_no_place():
    for pin in pins():
        assert pin.url is None
        assert [s.operator for s in pin.specifier] == ["=="]
    assert not re.search(r"[/\\@]|--", (ROOT / "constraints.txt").read_text())


def test_binder_installs_the_same_versions_and_runs_what_is_there():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    assert wanted == ["-c ../constraints.txt", "-e ."]
    runtime = (ROOT / "binder" / "runtime.txt").read_text().strip()
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(
        runtime.removeprefix("python-")
    )
    build = ROOT / "binder" / "postBuild"
    commands = re.findall(r"^python (\S+)$", build.read_text(), flags=re.M)
    assert commands
    assert all((ROOT / command).is_file() for command in commands)
    assert build.stat().st_mode & 0o111 == 0o111


def test_no_file_names_a_folder_of_somebody_s_machine():
    home = r"(?<![\w.~-])/(home|Users|root)/\w|[A-Z]:\\+Users\\"
    here = re.escape(str(ROOT)) if len(ROOT.parts) > 2 else r"(?!)"
    somebody_s = re.compile(f"{home}|{here}" + r"(?![\w-])")
    found = {
        path.relative_to(ROOT).as_posix(): match.group()
        for path in files_of_the_repository()
        if (match := somebody_s.search(text_of(path)))
    }
    assert found == {}


def test_import_is_light():
    heavy = ("pandas", "numba", "matplotlib")
    program = f"import sys, netlab; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == netlab.__version__ == citation["version"]


def test_citation_names_the_original_post():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (post,) = citation["references"]
    assert citation["cff-version"] == "1.2.0"
    assert post["title"] == "Mass Parallel Network Processing Architecture"
    assert str(post["date-published"]) == "2011-01-23"
