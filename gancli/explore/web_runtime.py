"""onnxruntime-web's files from a folder of the user's, as a page carries them."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from gancli.errors import UserError
from gancli.explore.card import digest

SCRIPT, MODULE, PROGRAM = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
LARGEST_BYTES = 64 << 20  # of one of them
MAGIC = b"\0asm"
WHERE = "npm pack onnxruntime-web has them in package/dist"


class Record(TypedDict):
    """What a file was."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class WebRuntime:
    """The script that pages call, the module that it loads, and the program that this runs."""

    script: str
    module: str
    program: bytes  # WebAssembly, compressed by gzip
    record: dict[str, Record]  # size and SHA-256 of each file, by its name


def read_runtime(folder: str) -> WebRuntime:
    """Return the runtime that lies in a folder, its dist/ or its package/dist/.

    Raises:
        UserError: a file is absent, too large, or is not what its name says.
    """
    places = [Path(folder, inner) for inner in ("", "dist", "package/dist")]
    found = next((place for place in places if (place / SCRIPT).is_file()), places[0])
    data = {name: _read(found / name) for name in (SCRIPT, MODULE, PROGRAM)}
    if not data[PROGRAM].startswith(MAGIC):
        raise UserError(f"{found / PROGRAM} is no WebAssembly: give runtime= the files of onnxruntime-web ({WHERE}).")
    record = {name: Record(bytes=len(each), sha256=digest(each)) for name, each in data.items()}
    return WebRuntime(_text(found / SCRIPT, data[SCRIPT]), _text(found / MODULE, data[MODULE]),
                      gzip.compress(data[PROGRAM], 6, mtime=0), record)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"runtime= has no {path.name} ({path}): give a folder with {SCRIPT}, {MODULE} and {PROGRAM}; "
                        f"{WHERE}.")
    if not 0 < path.stat().st_size <= LARGEST_BYTES:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes, which is no file of onnxruntime-web: {WHERE}.")
    return path.read_bytes()


def _text(path: Path, data: bytes) -> str:
    """Return a script as HTML can hold it: with line ends as browsers read them, and without the end of its element."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UserError(f"{path} is no script: give runtime= the files of onnxruntime-web ({WHERE}).") from None
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")
