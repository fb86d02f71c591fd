"""What a run costs: time, speed, memory."""

import sys
import time

import torch


class Cost:
    """Counts from when it is made, which is when training begins."""

    def __init__(self, device: torch.device, images: int, seconds_before: float) -> None:
        self.device = device
        self.seconds_before = seconds_before  # of training in earlier sittings
        self.begun = self.paused = self.last_time = time.monotonic()
        self.last_images = images
        self.recording_s = 0.0  # of this sitting, spent on everything but turns

    def pause(self) -> None:
        """Note that no turns are taken from here on."""
        self.paused = time.monotonic()

    def resume(self) -> None:
        """Count the time since the pause began as recording."""
        self.recording_s += time.monotonic() - self.paused

    @property
    def seconds(self) -> float:
        """Training time of all sittings so far."""
        return self.seconds_before + time.monotonic() - self.begun

    @property
    def recording_share(self) -> float:
        """The fraction of this sitting that recording took."""
        return self.recording_s / max(time.monotonic() - self.begun, 1e-9)

    def figures(self, images: int) -> dict[str, float]:
        """Return the figures of a tick, by tag; the speed is that since the last one."""
        now = time.monotonic()
        speed = (images - self.last_images) / max(now - self.last_time, 1e-9)
        self.last_time, self.last_images = now, images
        return {"speed/images_per_s": speed, "time/training_s": self.seconds, "time/recording_s": self.recording_s,
                "memory/peak_gib": _peak_bytes(self.device) / 2**30}


def _peak_bytes(device: torch.device) -> int:
    """Return the most memory held so far: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
