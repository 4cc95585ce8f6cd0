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
    # and the way of the Python client to it
    "/usr/lib/*/libportaudio.so.2": "libportaudio2",
    "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so": "libasound2-plugins",
}

# what the system tests need besides
SYSTEM_TOOLS = {
    "buildah": "buildah",
    "caddy": "caddy",
    "certutil": "libnss3-tools",
    "curl": "curl",
    "jq": "jq",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nginx": "nginx",
    "openssl": "openssl",
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
    missing = sorted(package for tool, package in tools.items() if not is_there(tool))
    if not missing:
        return
    names = " ".join(missing)
    left_out = f"so its tests are skipped (Debian: apt-get install {names})"
    apt = shutil.which("apt-get")
    if not apt or not hasattr(os, "geteuid") or os.geteuid() != 0:
        print(f"setup: no {names} here, {left_out}", flush=True)
        return
    line = Line(f"install {names} (Debian)")
    code, output = 1, ""
    for command in ([], ["update"]):  # the lists may be there already
        if command:
            stream([apt, *command], lambda _: line.update("working"))
        install = ["install", "-y", "--no-install-recommends", *missing]
        code, output = stream(
            [apt, *install],
            lambda _: line.update("working"),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if code == 0:
            break
    if code != 0:
        print(f"\nsetup: {names} could not be installed, {left_out}\n{tail(output, 4)}", flush=True)
        return
    if services := [package for package in missing if package in SERVICES]:
        # Debian starts a service at once; the tests run their own, away from the network
        capture(["systemctl", "disable", "--now", *services])
    line.done("done")
