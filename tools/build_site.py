"""Build the static site: `make site`, into site/_build/html.

The executed pages and the documents are copied into a folder of their own, laid out as
in the repository, so that their links hold; links to other files of it, which the site
does not show, become plain words. Sphinx then builds the folder; each warning is an
error. Nothing is executed and nothing is fetched.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "site" / "_build" / "html"
SHOWN = ("notebooks/[0-9]*.ipynb", "docs/*.md", "docs/**/*.png")
README = Path("README.md")  # index.md takes parts of it
# [words](target), unless the target is an address or a place on the same page.
LINK = re.compile(
    r"(?<!!)\[((?:[^\]\[]|\[[^\]]*\])*)\]\((?!https?:|#)([^)#\s]+)[^)\s]*\)"
)


def shown(root: Path) -> list[Path]:
    """Return the files that the site shows, relative to the project's folder."""
    return sorted(path.relative_to(root) for form in SHOWN for path in root.glob(form))


def without_dead_links(text: str, folder: Path, known: set[Path]) -> str:
    """Return the text with links to files that the site lacks as their words alone.

    folder: where the text lies in the project; known: the files shown.
    """

    def kept(link: re.Match[str]) -> str:
        target = Path(*_parts(folder / link[2]))
        return link[0] if target in known else link[1]

    return LINK.sub(kept, text)


def _parts(path: Path) -> list[str]:
    """The parts of a relative path without dots; no such file need exist."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return parts


def lay_out(root: Path, folder: Path) -> None:
    """Copy what is shown, and how it is to look, into an empty folder."""
    built = shutil.ignore_patterns("_build")
    shutil.copytree(root / "site", folder, dirs_exist_ok=True, ignore=built)
    known = set(shown(root))
    for path in (*known, README):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            shutil.copy(root / path, folder / path)
            continue
        text = (root / path).read_text(encoding="utf-8")
        (folder / path).write_text(
            without_dead_links(text, path.parent, known), encoding="utf-8"
        )


def build(root: Path, out: Path) -> None:
    """Build the site anew; subprocess.CalledProcessError at the first warning."""
    with tempfile.TemporaryDirectory(prefix="netlab-site-") as folder:
        source = Path(folder) / "source"
        lay_out(root, source)
        shutil.rmtree(out, ignore_errors=True)
        sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going"]
        doctrees = ["-d", f"{folder}/doctrees"]
        command = [*sphinx, "-q", "-n", *doctrees, str(source), str(out)]
        subprocess.run(command, cwd=root, check=True)


def main() -> None:
    """Command line: `build_site.py [--out FOLDER]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILT, help="where to build it")
    out = parser.parse_args().out.resolve()
    try:
        build(ROOT, out)
    except subprocess.CalledProcessError:
        sys.exit("The site was not built: see the warnings above.")
    place = out.relative_to(ROOT) if out.is_relative_to(ROOT) else out
    print(f"Open {place}/index.html")


if __name__ == "__main__":
    main()
