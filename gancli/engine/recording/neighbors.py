"""What other processes of the machine do to a run that computes on its cores."""

import torch

from gancli.waiting import Moment, crowded, others_cores, spins

LOOKS = 2  # intervals in a row: a moment's company is none


class Neighbors:
    """Tells once when threads that spin have had to share their cores for some time."""

    def __init__(self, device: torch.device, ranks: int) -> None:
        self.watches = device.type == "cpu" and ranks == 1 and spins()  # other ranks are no strangers
        self._since, self._crowded = Moment.now(), 0

    def notice(self) -> str | None:
        """Look at the time since the last call; return a sentence for the user, None where there is nothing to say."""
        if not self.watches:
            return None
        now = Moment.now()
        others, self._since = others_cores(self._since, now), now
        self._crowded = self._crowded + 1 if crowded(others, torch.get_num_threads()) else 0
        if self._crowded < LOOKS:
            return None
        self.watches = False
        return (f"Other processes keep {others:.1f} cores busy, and the threads of this run spin while they wait for each "
                "other: stop it (Ctrl-C saves) and continue with resume=: they sleep then, which is several times as fast.")
