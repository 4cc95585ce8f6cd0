"""Small, bounded operations on SDP text. No message ever repeats what was read."""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["check_offer", "strip_candidates", "with_opus_fmtp"]

_MAX_BYTES: Final = 16 * 1024
_MAX_LINE_BYTES: Final = 1024
_MAX_MEDIA: Final = 4
_KINDS: Final = frozenset({"audio", "video", "application"})
_SETUPS: Final = frozenset({"actpass", "active", "passive"})

_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_MEDIA: Final = re.compile(r"m=(\w+) (\d{1,5})(?:/\d+)? ([A-Z/]+)((?: [^ ]+)+)")
_OPUS: Final = re.compile(r"a=rtpmap:(\d{1,3}) opus/48000/2", re.IGNORECASE)
# RFC 8839 §5.4 (ufrag, pwd), RFC 8122 §5 (fingerprint)
_UFRAG: Final = re.compile(r"a=ice-ufrag:[A-Za-z0-9+/]{4,256}")
_PWD: Final = re.compile(r"a=ice-pwd:[A-Za-z0-9+/]{22,256}")
_FINGERPRINT: Final = re.compile(
    r"a=fingerprint:sha-256 (?:[0-9A-F]{2}:){31}[0-9A-F]{2}", re.IGNORECASE
)

_OPUS_FMTP: Final = {"minptime": "10", "useinbandfec": "1"}


def check_offer(sdp: str) -> None:
    """Refuse what is not an SDP offer that audio can be negotiated from.

    Checked before any library parses it: at most 16 KiB, 1 KiB a line and 4 media lines, with an
    audio section that has Opus, ICE credentials, a SHA-256 fingerprint and a DTLS role. Other
    sections (video, data channel) are tolerated; whether they are taken up, the answerer decides.

    Args:
        sdp: The offer, lines ended by CRLF or LF.

    Raises:
        ValueError: With a short fixed reason that quotes nothing from the offer.
    """
    if len(sdp) > _MAX_BYTES or len(sdp.encode("utf-8", "replace")) > _MAX_BYTES:
        raise ValueError("SDP is too large")
    lines = _lines(sdp)
    if not lines or lines[0] != "v=0":
        raise ValueError("SDP does not start with a version")
    for line in lines:
        if len(line.encode("utf-8", "replace")) > _MAX_LINE_BYTES:
            raise ValueError("SDP line is too long")
        if not _LINE.fullmatch(line):
            raise ValueError("SDP line is malformed")

    session, *sections = _sections(lines)
    if len(sections) > _MAX_MEDIA:
        raise ValueError("SDP has too many media sections")
    audio: list[str] | None = None
    for section in sections:
        media = _MEDIA.fullmatch(section[0])
        if media is None or media[1] not in _KINDS:
            raise ValueError("SDP media line is malformed")
        if audio is None and media[1] == "audio" and int(media[2]) != 0:
            audio = section
    if audio is None:
        raise ValueError("SDP offers no audio")
    _check_audio(session, audio)


def strip_candidates(sdp: str) -> str:
    """Remove every candidate, so that the peer's address is learnt from its own checks.

    `end-of-candidates` goes too: aioice takes it, without candidates, for a peer that cannot be
    reached, and then never completes. So ICE does not fail by itself: the caller needs a deadline.

    Args:
        sdp: An offer or answer.

    Returns:
        The same description without `a=candidate` and `a=end-of-candidates` lines.
    """
    return "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    )


def with_opus_fmtp(answer_sdp: str) -> str:
    """Ask the peer for in-band FEC in its Opus, which aiortc's descriptions leave out.

    Args:
        answer_sdp: An answer (or offer) that is about to be sent.

    Returns:
        The description with `minptime=10;useinbandfec=1` in the `fmtp` of each Opus payload type;
        parameters that are there already keep their values.
    """
    lines = _lines(answer_sdp)
    payload_types = {match[1] for line in lines if (match := _OPUS.fullmatch(line))}
    done: set[str] = set()
    out: list[str] = []
    for line in lines:
        name, _, parameters = line.removeprefix("a=fmtp:").partition(" ")
        if line.startswith("a=fmtp:") and name in payload_types:
            line = f"a=fmtp:{name} {_with_fec(parameters)}"
            done.add(name)
        out.append(line)
    mended: list[str] = []
    for line in out:
        mended.append(line)
        match = _OPUS.fullmatch(line)
        if match and match[1] not in done:
            done.add(match[1])
            mended.append(f"a=fmtp:{match[1]} {_with_fec('')}")
    return "".join(f"{line}\r\n" for line in mended)


def _check_audio(session: list[str], audio: list[str]) -> None:
    """Check the section that audio would be negotiated from, with what the session adds to it."""
    media = _MEDIA.fullmatch(audio[0])
    formats = media[4].split() if media else []
    if not media or media[3] not in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"):
        raise ValueError("SDP audio is not DTLS-SRTP")
    if not any(m[1] in formats for line in audio if (m := _OPUS.fullmatch(line))):
        raise ValueError("SDP audio has no Opus")
    attributes = session + audio
    for pattern, reason in (
        (_UFRAG, "SDP has no ICE user fragment"),
        (_PWD, "SDP has no ICE password"),
        (_FINGERPRINT, "SDP has no SHA-256 fingerprint"),
    ):
        if not any(pattern.fullmatch(line) for line in attributes):
            raise ValueError(reason)
    setups = [line.removeprefix("a=setup:") for line in attributes if line.startswith("a=setup:")]
    if not setups or any(setup not in _SETUPS for setup in setups):
        raise ValueError("SDP has no DTLS role")


def _with_fec(parameters: str) -> str:
    """The parameters of a `fmtp` line with ours added where they are missing."""
    given = [part.strip() for part in parameters.split(";") if part.strip()]
    names = {part.partition("=")[0].lower() for part in given}
    added = [f"{name}={value}" for name, value in _OPUS_FMTP.items() if name not in names]
    return ";".join(given + added)


def _lines(sdp: str) -> list[str]:
    """Lines without their ends; only CRLF and LF end a line."""
    return [line.removesuffix("\r") for line in sdp.removesuffix("\n").split("\n")] if sdp else []


def _sections(lines: list[str]) -> Iterator[list[str]]:
    """The session's lines, then those of each media section."""
    current: list[str] = []
    for line in lines:
        if line.startswith("m="):
            yield current
            current = []
        current.append(line)
    yield current
