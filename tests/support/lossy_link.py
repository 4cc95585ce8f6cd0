"""``lossy_link.py ONE ADDRESS OTHER ADDRESS LOSS``: a cable between two namespaces, and a bad one.

A TUN device in each namespace, with its address and prefix; this program carries what one of them
is given to the other, except for a share of LOSS (0 to 1) each way, drawn from a fixed seed. Prints
``up``, and ``lost`` for each packet. The kernel's netem does the same where it is there.
"""

import ctypes
import fcntl
import os
import random
import selectors
import struct
import subprocess
import sys
from pathlib import Path

DEVICE = "lossy0"
MTU = 1400
SEED = 7
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001


def why_not() -> str:
    """Why there can be no such cable here; empty when there can."""
    return "" if Path("/dev/net/tun").exists() else "no /dev/net/tun here"


def plug(namespace: str, address: str) -> int:
    """A TUN device in a namespace, up and with an address; its descriptor.

    Raises:
        OSError: It cannot be had.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(libc, there)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", DEVICE.encode(), _IFF_TUN_NO_PI))
        _enter(libc, here)
    finally:
        os.close(here)
        os.close(there)
    for arguments in (
        ("addr", "add", address, "dev", DEVICE),
        ("link", "set", DEVICE, "up", "mtu", str(MTU)),
    ):
        subprocess.run(["ip", "-n", namespace, *arguments], check=True)
    return device


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def carry(one: int, other: int, loss: float) -> None:
    """Carries packets between two devices until the process is killed."""
    drawn = random.Random(SEED)
    selector = selectors.DefaultSelector()
    selector.register(one, selectors.EVENT_READ, other)
    selector.register(other, selectors.EVENT_READ, one)
    while True:
        for key, _ in selector.select():
            try:
                packet = os.read(key.fd, MTU + 100)
                if drawn.random() < loss:
                    print("lost", flush=True)
                else:
                    os.write(key.data, packet)
            except OSError:  # nothing there any more, or a full queue: a cable loses it
                continue


def main(arguments: list[str]) -> None:
    one, one_address, other, other_address, loss = arguments
    devices = plug(one, one_address), plug(other, other_address)
    print("up", flush=True)
    carry(*devices, float(loss))


if __name__ == "__main__":
    main(sys.argv[1:])
