"""The progress of a command that does several long pieces of work."""

from gancli.monitor.screen import Screen


class Stages:
    """Shows one piece of work after the other."""

    def __init__(self) -> None:
        self.screen: Screen | None = None
        self._shown: tuple[str, int] | None = None

    def __enter__(self) -> "Stages":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def decoding(self, done: int, total: int) -> None:
        """Show how far decoding is."""
        self.told("decoding", done, total)

    def told(self, label: str, done: int, total: int, unit: str = "images") -> None:
        """Show how far the piece of work called `label` is."""
        if self.screen is None or self._shown != (label, total):  # training data may be decoded after the held-out ones
            self._close()
            self._shown = label, total
            self.screen = Screen(label, total, unit=unit, scale=1)
        if self.screen.live is not None or done < total:  # where there is no live line, ends are not worth one
            self.screen.update(done)

    def _close(self) -> None:
        """End the live line."""
        if self.screen is not None:
            self.screen.close()
            self.screen = None
