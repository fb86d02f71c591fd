"""Where the ranks of several nodes meet: told by torchrun, or found out from Slurm where `srun` alone has started them."""

import socket
import struct
import subprocess
from collections.abc import Mapping

from gancli.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PLACE = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")  # of a task of `srun`; batch scripts have no tasks
FIRST_PORT, PORTS = 20_000, 12_000  # below those that systems hand out by themselves
ASK_ADDRESS = 0x8915  # SIOCGIFADDR of Linux
PATIENCE_S = 60


def srun_place(environment: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return (rank, ranks in all, rank on its node) of a task that `srun` has started with others, else None."""
    if any(not environment.get(name, "").isdecimal() for name in PLACE):
        return None
    rank, world, local = (int(environment[name]) for name in PLACE)
    return (rank, world, local) if world > 1 else None


def meeting_point(environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the address and port at which rank 0 of a step of `srun` waits: MASTER_ADDR and MASTER_PORT, else Slurm's words.

    Raises:
        UserError: Slurm does not say where the first node is.
    """
    job, step = (int(environment.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    port = int(environment.get("MASTER_PORT", FIRST_PORT + (job * 31 + step) % PORTS))  # jobs that share a node differ
    return environment.get("MASTER_ADDR") or _first_node(environment), port


def _first_node(environment: Mapping[str, str]) -> str:
    nodes = environment.get("SLURM_STEP_NODELIST", "")
    try:
        first = _answer("scontrol", "show", "hostnames", nodes).split()[0]
        fields = dict(word.split("=", 1) for word in _answer("scontrol", "show", "node", first, "-o").split() if "=" in word)
    except (OSError, IndexError, subprocess.SubprocessError):
        raise UserError(f"Slurm does not say where the first of the nodes {nodes or 'of this step'} is: export MASTER_ADDR= "
                        "its address before srun.") from None
    return fields.get("NodeAddr", first)


def _answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def interface_toward(address: str) -> str | None:
    """Return the name of the network interface by which this machine reaches an address; None where it cannot be told.

    gloo takes that of the machine's own name, which leads nowhere on many clusters.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing
            own = probe.getsockname()[0]
            for _, name in socket.if_nameindex():
                if _address(probe, name) == own:
                    return name
    except OSError:
        return None
    return None


def _address(probe: socket.socket, interface: str) -> str | None:
    if fcntl is None:
        return None
    try:
        answer = fcntl.ioctl(probe.fileno(), ASK_ADDRESS, struct.pack("256s", interface.encode()[:15]))
    except OSError:
        return None
    return socket.inet_ntoa(answer[20:24])


def has_name_that_leads_here() -> bool:
    """Whether this machine's own name can be looked up."""
    try:
        socket.getaddrinfo(socket.gethostname(), None)
        return True
    except OSError:
        return False
