"""What can be typed next of a run: read from its status, which may be a stranger's, so that only known forms count."""

import re

FORM = re.compile(r"(sample|translate|upscale|inpaint|blend|reconstruct)( dataset\.split=[\w+]{1,20})?")
BLENDED = ("source=SOURCE.png", "target=TARGET.png", "mask=MASK.png")  # without pictures of one's own nothing is blended
QUOTED = re.compile(r"([\w.]+)='([\w./-]+)'")  # a path as it is kept, with quotes that a shell need not see


def unquoted(word: str) -> str:
    """Return an override as a person types it: a path without the quotes that Hydra's grammar was given."""
    return QUOTED.sub(r"\1=\2", word)


def words_of(step: str, run: str) -> list[str]:
    """Return the words of the command that `step` means for a run; none where it is no such step.

    Args:
        step: as the run's status has it: a command, and the part of the data that it takes.
        run: the run's folder as a shell takes it.
    """
    if not FORM.fullmatch(step):
        return []
    command, *more = step.split()
    return ["gan", command, f"ckpt={run}", *more, *(BLENDED if command == "blend" else ())]
