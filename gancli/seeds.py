"""Seeds derived from integers: streams that differ in one of them are unrelated, and none needs to be stored."""

MASK = (1 << 64) - 1


def mix(*integers: int) -> int:
    """Return a well mixed 63-bit seed of the integers and their order (SplitMix64's finalizer, Steele 2014)."""
    state = 0x9E3779B97F4A7C15
    for integer in integers:
        state = (state ^ (integer & MASK)) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
        state = (state ^ (state >> 31)) + 0x9E3779B97F4A7C15 & MASK
    return state >> 1
