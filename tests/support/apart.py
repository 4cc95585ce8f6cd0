"""``apart.py COMMAND...``: runs a program in a network namespace of its own.

There is a loopback and one interface with an address, which leads nowhere: what the program sends
to its own machine arrives, and nothing leaves. Without the right to make one the program runs where
it is, with ``VOXWIRE_TEST_NOT_APART`` set to the reason.
"""

import os
import subprocess
import sys

ADDRESS = "10.99.0.1/24"
GATEWAY = "10.99.0.2"
SETUP = (
    "ip link set lo up && ip link add vx0 type veth peer name vx1 && "
    f"ip addr add {ADDRESS} dev vx0 && ip link set vx0 up && ip link set vx1 up && "
    f"ip route add default via {GATEWAY} dev vx0"
)


def main(command: list[str]) -> int:
    """Runs the command; returns its exit code."""
    apart = ["unshare", "--net", "sh", "-c"]
    try:
        tried = subprocess.run([*apart, SETUP], capture_output=True, text=True, check=False)
        reason = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError:
        reason = "no unshare here"
    if reason:
        os.environ["VOXWIRE_TEST_NOT_APART"] = reason
        os.execvp(command[0], command)
    os.execvp(apart[0], [*apart, f'{SETUP} && exec "$@"', "sh", *command])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
