"""Make a small picture of each page's central figure: `make thumbnails`.

The figure is the one of the cell tagged `central`. It is taken from the executed page,
so that it shows what the page shows, and `make notebooks` makes them all again.
"""

import base64
import io
import re
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "thumbnails"
CENTRAL = "central"
WIDTH_PX = 480  # twice what a table shows, for screens of high density
PICTURE = re.compile(r'<img [^>]*src="data:image/png;base64,([^"]+)"')


def pages() -> list[Path]:
    """Return the pages of the course, in their order."""
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def central_figure(page: Path) -> Image.Image:
    """Return the first picture of the page's central cell.

    Raises ValueError if no cell is tagged so, or more than one, or it has no picture.
    """
    cells = nbformat.read(page, as_version=4).cells
    tagged = [cell for cell in cells if CENTRAL in cell.metadata.get("tags", ())]
    if len(tagged) != 1:
        raise ValueError(f"{page.name}: {len(tagged)} cells are tagged {CENTRAL!r}")
    shown = [out.get("data", {}).get("text/html", "") for out in tagged[0].outputs]
    if not (found := PICTURE.search("".join(shown))):
        raise ValueError(f"{page.name}: the cell tagged {CENTRAL!r} shows no picture")
    return Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")


def thumbnail(figure: Image.Image) -> bytes:
    """Return a figure as a small PNG, WIDTH_PX wide."""
    height = round(figure.height * WIDTH_PX / figure.width)
    small = figure.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Few colours are enough at this size, and a third of the bytes.
    small.quantize(64).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Make all of them again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page in pages():
        target = FOLDER / f"{page.stem[:2]}.png"
        target.write_bytes(thumbnail(central_figure(page)))
        print(f"{target.relative_to(ROOT)}  {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
