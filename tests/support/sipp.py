"""SIPp (Debian's ``sip-tester``) plays what telephones and exchanges do, well or badly.

A scenario is a list of steps: a request is sent, a response is waited for, time passes. What comes
otherwise ends the call as failed.
"""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

__all__ = ["MISSING", "Ran", "Steps", "sipp", "started"]

MISSING: Final = (
    ""
    if shutil.which("sipp")
    else "SIPp is missing: apt-get install sip-tester (as root, make system does it)"
)
_HEAD: Final = """\
Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From: <sip:+15550100@[local_ip]>;tag=[pid]a[call_number]
To: <sip:4711@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
"""
_SDP: Final = """\
v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


class Steps:
    """A scenario, step by step.

    Args:
        account: User and password that a challenge is answered with.
    """

    def __init__(self, account: tuple[str, str]) -> None:
        self._account = account
        self._cseq = 0
        self._version = 0
        self._invited = 0
        self._steps: list[str] = []

    def invite(
        self, *, direction: str = "sendrecv", signed: bool = False, again: bool = False
    ) -> "Steps":
        """Send an INVITE.

        Args:
            direction: What is offered; empty = no description.
            signed: Whether a challenge is answered.
            again: Whether it is in the call.
        """
        self._cseq += 1
        self._version += 1
        self._invited = len(self._steps)
        user, password = self._account
        more = f"[authentication username={user} password={password}]\n" if signed else ""
        body = _SDP.format(version=self._version, direction=direction) if direction else ""
        return self._send("INVITE", more=more, body=body, in_dialog=again, retrans=' retrans="500"')

    def ack(self, *, refused: bool = False) -> "Steps":
        """Acknowledge the answer to the last INVITE."""
        branch = self._branch() if refused else "[branch]"
        return self._send("ACK", in_dialog=True, branch=branch)

    def cancel(self) -> "Steps":
        """Cancel the last INVITE."""
        return self._send("CANCEL", branch=self._branch())

    def _branch(self) -> str:
        """That of the last INVITE: SIPp makes one of a step's number, and takes its distance."""
        return f"[branch-{len(self._steps) - self._invited}]"

    def bye(self) -> "Steps":
        """Hang up."""
        self._cseq += 1
        return self._send("BYE", in_dialog=True, retrans=' retrans="500"')

    def receive(self, status: int, *, holds: str = "", optional: bool = False) -> "Steps":
        """Wait for a response.

        Args:
            status: Of it.
            holds: What its body must match.
            optional: Whether it may be left out.
        """
        action = ""
        if holds:
            action = (
                f'<action><ereg regexp={quoteattr(holds)} search_in="body" check_it="true" '
                'assign_to="1"/></action>'
            )
        auth = ' auth="true"' if status == 401 else ""
        may = ' optional="true"' if optional else ""
        rrs = ' rrs="true"' if status < 300 else ""
        self._steps.append(f'<recv response="{status}"{auth}{may}{rrs}>{action}</recv>')
        if holds:
            self._steps.append('<nop><action><log message="[$1]"/></action></nop>')
        return self

    def hung_up_on(self) -> "Steps":
        """Wait for a BYE, and answer it."""
        self._steps.append('<recv request="BYE"/>')
        kept = "\n".join(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        text = f"SIP/2.0 200 OK\n{kept}\nContent-Length: 0\n\n"
        self._steps.append(f"<send><![CDATA[\n{text}]]></send>")
        return self

    def wait(self, ms: int) -> "Steps":
        """Let time pass."""
        self._steps.append(f'<pause milliseconds="{ms}"/>')
        return self

    def play(self, path: Path) -> "Steps":
        """Begin to play a file: A-law without a head."""
        self._steps.append(f'<nop><action><exec rtp_stream="{path},1,8"/></action></nop>')
        return self

    def called(self) -> "Steps":
        """The whole way to a call that is answered."""
        self.invite().receive(100, optional=True).receive(401).ack(refused=True)
        self.invite(signed=True).receive(100, optional=True).receive(180, optional=True)
        return self.receive(200).ack()

    def _send(
        self,
        method: str,
        *,
        more: str = "",
        body: str = "",
        in_dialog: bool = False,
        branch: str = "[branch]",
        retrans: str = "",
    ) -> "Steps":
        tag = "[peer_tag_param]" if in_dialog else ""
        head = _HEAD.format(branch=branch, tag=tag, cseq=self._cseq, method=method)
        kind = "Content-Type: application/sdp\n" if body else ""
        first = f"{method} sip:4711@[remote_ip]:[remote_port] SIP/2.0\n"
        text = f"{first}{head}{more}{kind}Content-Length: [len]\n\n{body}"
        self._steps.append(f"<send{retrans}><![CDATA[\n{text}]]></send>")
        return self

    def xml(self) -> str:
        """What SIPp reads."""
        head = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="test">\n'
        return head + "\n".join(self._steps) + "\n</scenario>\n"


@dataclass(frozen=True)
class Ran:
    """What came of it.

    Attributes:
        code: Exit code; 0 = every call went as it should.
        errors: What SIPp says of the others.
        done: Calls that went as they should.
    """

    code: int
    errors: str
    done: int


@contextlib.asynccontextmanager
async def started(
    folder: Path, gateway: int, steps: Steps, *, calls: int = 1, timeout_s: int = 120
) -> AsyncIterator["asyncio.Future[Ran]"]:
    """Play a scenario meanwhile.

    Args:
        folder: For its files.
        gateway: Port that it calls.
        steps: The scenario.
        calls: How many play it at once.
        timeout_s: When it gives up.
    """
    (folder / "scenario.xml").write_text(steps.xml())
    errors = folder / "errors.log"
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"127.0.0.1:{gateway}", "-sf", folder / "scenario.xml", "-i", "127.0.0.1"),
        *("-m", str(calls), "-l", str(calls), "-r", str(calls), "-nostdin"),
        *("-timeout", f"{timeout_s}s", "-timeout_error", "-trace_err", "-error_file", errors),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def ended() -> Ran:
        said, _ = await process.communicate()
        found = re.findall(
            r"Successful call\s*\|\s*\d+\s*\|\s*(\d+)", said.decode(errors="replace")
        )
        written = errors.read_text(errors="replace") if errors.exists() else ""
        code = process.returncode
        assert code is not None
        if code:
            print(f"SIPp ended with {code}:", written or said.decode(errors="replace")[-2000:])
        return Ran(code, written or said.decode(errors="replace")[-2000:], int((found or [0])[-1]))

    ending = asyncio.ensure_future(ended())
    try:
        yield ending
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait({ending})


async def sipp(
    folder: Path, gateway: int, steps: Steps, *, calls: int = 1, timeout_s: int = 120
) -> Ran:
    """Play a scenario to its end."""
    async with started(folder, gateway, steps, calls=calls, timeout_s=timeout_s) as ending:
        return await ending
