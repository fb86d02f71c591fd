"""Durations as a person reads them."""

from datetime import datetime, timedelta


def in_words(seconds: float) -> str:
    """Return seconds in two units at most: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def clock(seconds: float, now: datetime | None = None) -> str:
    """Return the time of day, by this machine's clock, that lies so many seconds ahead: 17:31, or Tue 1 Dec 09:10."""
    begun = (now or datetime.now()).astimezone()
    then = begun + timedelta(seconds=seconds)
    return f"{then:%H:%M}" if then.date() == begun.date() else f"{then:%a} {then.day} {then:%b %H:%M}"
