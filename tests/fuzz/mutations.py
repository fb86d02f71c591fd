"""Valid files with something done to them."""

from hypothesis import strategies as st

HUGE = b"1" + b"0" * 400
SPLICES = (b"", b"\x00", b"\xff" * 8, b"[" * 5000, b"{" * 50, b"&a [*a]", b"${oc.env:CANARY}", b"_target_: os.system", HUGE,
           b"NaN",
           b"-1", b"null", b"true", b'"', b"../../x", b"\x1b[2J", b"\xed\xa0\x80", b"1e999", b"!!python/name:os.system",
           b"\n- " * 40)

edit = st.tuples(st.sampled_from(["flip", "cut", "splice", "delete", "repeat"]), st.floats(0, 1), st.integers(0, 255),
                 st.sampled_from(SPLICES))
edits = st.lists(edit, min_size=1, max_size=4)


def mutated(content: bytes, changes: list[tuple[str, float, int, bytes]]) -> bytes:
    """Return the content with the changes made one after the other."""
    for kind, where, number, splice in changes:
        at = int(where * len(content))
        if kind == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ (number or 1)]) + content[at + 1:]
        elif kind == "cut":
            content = content[:at]
        elif kind == "splice":
            content = content[:at] + splice + content[at + len(splice) * (number % 2):]
        elif kind == "delete":
            content = content[:at] + content[at + 1 + number:]
        else:
            content = content[:at] + content[at:at + number] * 3 + content[at + number:]
    return content
