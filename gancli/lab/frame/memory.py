"""Refusing what would not fit into memory, before anything is made."""

from gancli.capacity import free_bytes

SHARE = 0.5  # of the free memory that an experiment may take


def check_memory(key: str, value: int, bytes_needed: int) -> None:
    """Raise a ValueError naming `key` if its value asks for more memory than there is."""
    free = free_bytes()
    if free is not None and bytes_needed > SHARE * free:
        fitting = int(value * SHARE * free / bytes_needed)
        raise ValueError(f"{key}={value} needs about {bytes_needed / 2**30:,.1f} GiB and {free / 2**30:,.1f} GiB are free: "
                         f"give {key}={max(1, fitting)} or less")
