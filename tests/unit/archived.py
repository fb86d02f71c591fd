"""Archives and tables of random images, as their owners have them."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def png(seed: int, side: int = 16) -> bytes:
    """Return a random color image as a PNG file."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(file: bytes) -> np.ndarray:
    """Return the pixels of an image file, [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(file)))


def write_zip(path: Path, files: dict[str, bytes | str], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    """Write a tar archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def table(count: int, labels: bool = True, first: int = 0):
    """Return a table as Hugging Face lays it out: images as structs, numbers of named classes (-1 where kept secret)."""
    import pyarrow

    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    cells = [{"bytes": png(first + number), "path": f"{number}.png"} for number in range(count)]
    found = pyarrow.table({"image": cells, "label": [number % 2 if labels else -1 for number in range(count)]})
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(path: Path, written, **options) -> Path:
    """Write a parquet file."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(written, path, **options)
    return path


def write_arrow(path: Path, written, rows: int = 4, **options) -> Path:
    """Write a file of Arrow's stream format, some rows a batch."""
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, written.schema, **options) as writer:
        for batch in written.to_batches(max_chunksize=rows):
            writer.write_batch(batch)
    return path
