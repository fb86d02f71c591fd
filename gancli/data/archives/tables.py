"""Which column of a table holds images and which their labels, as Hugging Face's data sets lay them out.

An image is a struct of `bytes` and `path`, or plain bytes; names of classes stand in the schema's metadata
(https://huggingface.co/docs/datasets/about_dataset_features).
"""

import json
from pathlib import Path
from typing import Any

from gancli.data.labels import choose_column
from gancli.data.listing import Listing
from gancli.errors import UserError, near

IMAGES = ("image", "img", "images", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes", "data")
DEEPEST = 1 << 22  # characters of a schema's description, which is read whole


def arrow() -> Any:
    """Return pyarrow; a UserError where it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise UserError("Parquet and Arrow files are read with the package pyarrow, which is not installed: "
                        "pip install 'gancli[tables]'") from None
    return pyarrow


def image_column(schema: Any, wanted: str | None, path: Path) -> str:
    """Return the name of the column with images: the one wanted, one described as such, or one named and made so.

    Raises:
        UserError: there is none.
    """
    made = [field.name for field in schema if _holds_bytes(field.type)]
    if wanted is not None:
        if wanted in made:
            return wanted
        raise UserError(f"dataset.images={wanted} is no column of images in {path}; {near(wanted, made)}")
    described = [name for name in of_type(schema, "Image") if name in made]
    structs = [name for name in made if str(schema.field(name).type).startswith("struct")]
    named = [name for name in IMAGES if name in made]
    found = described or structs or named or (made if len(made) == 1 else [])
    if not found:
        raise UserError(f"{path} has no column of images but {', '.join(schema.names[:10]) or 'nothing'}: images are bytes, "
                        "or structs of bytes and path. Name one, dataset.images=COLUMN.")
    return found[0]


def features(schema: Any) -> dict[str, dict]:
    """Return what Hugging Face's description says of each column; nothing where there is none, or a damaged one."""
    text = (schema.metadata or {}).get(b"huggingface", b"")
    try:
        found = json.loads(text)["info"]["features"] if 0 < len(text) <= DEEPEST else {}
        return {str(name): feature for name, feature in found.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def of_type(schema: Any, kind: str) -> list[str]:
    """Return the columns that the description says to be of a kind: Image, ClassLabel."""
    return [name for name, feature in features(schema).items() if feature.get("_type") == kind]


def label_column(schema: Any, image: str, wanted: str, path: Path, listing: Listing) -> str | None:
    """Return the column of labels, as `choose_column` does; one that is described as classes will do by any name."""
    others = [name for name in schema.names if name != image]
    found = choose_column(others, wanted, str(path), listing)
    classes = [name for name in of_type(schema, "ClassLabel") if name in others]
    if found is None and wanted == "auto" and classes:
        found = choose_column(others, classes[0], str(path), listing)
    listing.names = (found and class_names(schema, found)) or listing.names
    return found


def class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    """Return the names of a column's classes by number, where the description has them."""
    names = features(schema).get(column, {}).get("names")
    return tuple(names) if isinstance(names, list) and names and all(isinstance(name, str) for name in names) else None


def bytes_of(value: Any) -> bytes:
    """Return the bytes of an image's cell; a ValueError for a name alone, which is never followed."""
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes):
        raise ValueError("it holds no bytes but at most the name of a file elsewhere, which is not followed")
    return found


def _holds_bytes(kind: Any) -> bool:
    types = arrow().types
    if types.is_struct(kind):
        return any(child.name == "bytes" and _is_binary(child.type) for child in kind)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    types = arrow().types
    return types.is_binary(kind) or types.is_large_binary(kind)
