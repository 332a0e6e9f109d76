"""A table as the bytes of a CSV file, and back: the same values, columns and types.

Facts. CSV has no types, and a reader that guesses them makes a number of the text
"1", a missing value of an empty text, and a fraction of a count that is missing once.

Decision. The schema (a list of Frictionless fields) says what a column holds; its field
"dtype" is pandas's own name of the column's type, which a Frictionless reader ignores.
What is missing is written as MISSING, so that an empty text stays one. Numbers are
written with all their digits. Above PACKED_ABOVE bytes the file is packed by gzip, with
no name or time in it: equal tables make equal files.

Known limit: a text that is MISSING itself cannot be written, and is refused. Not in
this file: where the files are, and whether they are whole (`recordings`).
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MISSING = "NA"
PACKED_ABOVE = 100_000  # bytes: what git and a reader may still look at as text
Field = Mapping[str, Any]


def packed(frame: pd.DataFrame, fields: Sequence[Field]) -> tuple[bytes, bool]:
    """Return a table's CSV, packed if it is long, and whether it is.

    Raises ValueError for a value that is not of its field's type.
    """
    text = io.StringIO()
    columns = [_texts(frame[field["name"]], field) for field in fields]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field["name"] for field in fields])
    writer.writerows(zip(*columns, strict=True))
    data = text.getvalue().encode("utf-8")
    if not unpacked(data, fields).equals(frame.reset_index(drop=True)):
        types = ", ".join(f"{field['name']} {field['dtype']}" for field in fields)
        raise ValueError(f"the table would not come back as it is, of types {types}")
    is_long = len(data) > PACKED_ABOVE
    return (gzip.compress(data, mtime=0) if is_long else data), is_long


def unpacked(data: bytes, fields: Sequence[Field]) -> pd.DataFrame:
    """Return the table of a file's bytes; raises ValueError that says what is wrong."""
    import pandas as pd

    try:
        head, *rows = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    except csv.Error as error:
        raise ValueError(f"it is no CSV ({error})") from error
    wanted = [field["name"] for field in fields]
    if head != wanted:
        raise ValueError(f"its columns are {', '.join(head)}, not {', '.join(wanted)}")
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a row of it has more or fewer cells than columns")
    columns = list(zip(*rows, strict=True)) or [()] * len(head)
    return pd.DataFrame(
        {
            field["name"]: _series(texts, field)
            for field, texts in zip(fields, columns, strict=True)
        }
    )


def _text(data: bytes) -> str:
    try:
        whole = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"it cannot be unpacked ({error})") from error
    text = whole.decode("utf-8")
    if not text:
        raise ValueError("it is empty")
    return text


def _texts(column: Any, field: Field) -> list[str]:
    say = WRITERS[field["type"]]
    missing = column.isna().tolist()
    texts = []
    for value, is_missing in zip(column.tolist(), missing, strict=True):
        try:
            texts.append(MISSING if is_missing else say(value))
        except (TypeError, ValueError) as error:
            raise _wrong(value, field) from error
    return texts


def _series(texts: Sequence[str], field: Field) -> pd.Series:
    import pandas as pd

    read, values = READERS[field["type"]], []
    for text in texts:
        try:
            values.append(None if text == MISSING else read(text))
        except (KeyError, ValueError) as error:
            raise _wrong(text, field) from error
    try:
        return pd.Series(values, dtype=field["dtype"])
    except (TypeError, ValueError) as error:
        told = f"its column {field['name']!r} is not of type {field['dtype']}"
        raise ValueError(f"{told} ({error})") from error


def _wrong(value: object, field: Field) -> ValueError:
    return ValueError(
        f"its column {field['name']!r} has {value!r}, and holds type {field['type']}"
    )


def _whole(value: Any) -> str:
    if int(value) != value:
        raise ValueError(value)
    return str(int(value))


def _word(value: Any) -> str:
    if not isinstance(value, str) or value == MISSING:
        raise ValueError(value)
    return value


def _answer(value: Any) -> str:
    if not isinstance(value, bool):
        raise TypeError(value)
    return str(value).lower()


WRITERS: dict[str, Callable[[Any], str]] = {
    "integer": _whole,
    "number": lambda value: repr(float(value)),
    "boolean": _answer,
    "string": _word,
}
READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "string": str,
}
