"""Programs that some tests need and pip cannot bring: from Debian, when this is root there."""

import os
import shutil
from collections.abc import Mapping
from glob import glob

from steps import Line, capture, stream, tail

# program -> Debian package; tests that need a program which is not there skip and say so
TOOLS = {
    "turnserver": "coturn",
    "ip": "iproute2",
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "pulseaudio": "pulseaudio",  # a sound card for Firefox, whose audio stands still without one
    "pactl": "pulseaudio-utils",
    "redis-server": "redis-server",  # where several processes of a service agree
    # and the way of the Python client to it
    "/usr/lib/*/libportaudio.so.2": "libportaudio2",
    "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so": "libasound2-plugins",
}

# what the system tests need besides
SYSTEM_TOOLS = {
    "baresip": "baresip",
    "buildah": "buildah",
    "caddy": "caddy",
    "certutil": "libnss3-tools",
    "curl": "curl",
    "jq": "jq",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nginx": "nginx",
    "openssl": "openssl",
    "sipp": "sip-tester",
    "/lib/systemd/systemd": "systemd",
    "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream",
    "/usr/share/doc/python3-venv": "python3-venv",
}
SERVICES = ("caddy", "coturn", "nginx")


def is_there(tool: str) -> bool:
    """Whether a program is on the path, or a file where its pattern says."""
    return bool(glob(tool) if "/" in tool else shutil.which(tool))


def install_debian_tools(tools: Mapping[str, str] = TOOLS) -> None:
    """Installs what is missing; prints why when it cannot.

    Args:
        tools: The package of each program, or of a file that a pattern finds.
    """
    missing = sorted({package for tool, package in tools.items() if not is_there(tool)})
    if not missing:
        return
    names = " ".join(missing)
    apt = shutil.which("apt-get")
    if not apt or not hasattr(os, "geteuid") or os.geteuid() != 0:
        print(f"setup: no {names} here, {_left_out(names)}", flush=True)
        return
    line = Line(f"install {names} (Debian)")
    failed = _install(apt, missing, line)
    if services := [each for each in missing if each in SERVICES and each not in failed]:
        # Debian starts a service at once; the tests run their own, away from the network
        capture(["systemctl", "disable", "--now", *services])
    for name, output in failed.items():
        reason = f"{_left_out(name)}\n{tail(output, 4)}"
        print(f"\nsetup: {name} could not be installed, {reason}", flush=True)
    if len(failed) < len(missing):
        line.done(f"{len(missing) - len(failed)} of {len(missing)}" if failed else "done")


def _left_out(names: str) -> str:
    return f"so its tests are skipped (Debian: apt-get install {names})"


def _install(apt: str, packages: list[str], line: Line) -> dict[str, str]:
    """Installs packages together, else each by itself; returns apt's output by those that failed.

    apt installs nothing when one of them is not in the suite.
    """

    def run(*arguments: str) -> tuple[int, str]:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        return stream([apt, *arguments], lambda _: line.update("working"), env=quiet)

    install = ("install", "-y", "--no-install-recommends")
    if run(*install, *packages)[0] == 0:  # the lists may be there already
        return {}
    run("update")
    code, output = run(*install, *packages)
    if code == 0:
        return {}
    if len(packages) == 1:
        return {packages[0]: output}
    outcomes = {package: run(*install, package) for package in packages}
    return {package: output for package, (code, output) in outcomes.items() if code != 0}
