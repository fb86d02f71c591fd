"""Examples that are used where the user has put them, since they lie there as a store would have them."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gancli.data.checksums import checked_file, combined, remembered, stamped
from gancli.data.sizes import UNREADABLE
from gancli.data.source import InPlace
from gancli.errors import UserError
from gancli.runs.atomic import write_json


def taken(there: InPlace, store: Path, key: str, verify: bool, progress: Callable[[int, int], None]) -> str:
    """Return the checksum over examples, labels and attributes, that a store of them would have.

    Every byte is read for it, unless that was done before and the file is the same one since, or `verify` asks for it again.

    Args:
        store: the file that would hold the examples; beside it lies what is remembered.
        key: of that file.

    Raises:
        UserError: the file is damaged.
    """
    try:
        stamp = {**stamped(there.path), "key": key}
        known = remembered(store) or {}
        if not verify and {**known, "digest": ""} == {**stamp, "digest": ""} and isinstance(known["digest"], str):
            return known["digest"]
        count = len(there.examples)
        whole = combined([there.checksum(lambda done: progress(done, count))], [count], there.examples.shape[1:],
                         there.labels, there.attributes)
    except UNREADABLE as error:
        raise UserError(f"{there.path} is damaged ({error}): write it again.") from None
    with suppress(OSError):  # a folder that only others may write: it is read at every start
        store.parent.mkdir(parents=True, exist_ok=True)
        write_json(checked_file(store), {**stamp, "digest": whole})
    return whole
