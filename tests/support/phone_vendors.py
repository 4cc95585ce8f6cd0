"""The vendors of telephone numbers that tests call by, which are those of ``voxwire call``.

They are written from the vendors' pages and from nothing of the server, which is held against them.
"""

from typing import Final

from voxwire._phone import vendors
from voxwire._phone.far_end import Announced, FarEnd, Parties, twilio_signature
from voxwire._phone.vendors import plivo_signature, telnyx_key

__all__ = [
    "CALLED",
    "CALLER",
    "FAR_ENDS",
    "PASSWORD",
    "SECRET",
    "TELNYX_KEY",
    "TOKEN",
    "Announced",
    "FarEnd",
    "Vonage",
    "plivo_signature",
    "twilio_signature",
]

TOKEN: Final = "an auth token"
PASSWORD: Final = "exotel:a password"
SECRET: Final = "a signature secret of more than 32 bytes"
TELNYX_KEY: Final = telnyx_key(SECRET)
CALLER: Final = Parties().caller
CALLED: Final = Parties().called
_SECRETS: Final = {
    "twilio": TOKEN,
    "telnyx": SECRET,
    "plivo": TOKEN,
    "exotel": PASSWORD,
    "vonage": SECRET,
}
FAR_ENDS: Final[dict[str, FarEnd]] = {
    name: vendors.far_end(name, secret) for name, secret in _SECRETS.items()
}


class Vonage(vendors.Vonage):
    """Vonage, with the secret of the tests."""

    @staticmethod
    def signed(body: bytes, call_id: str, now_s: float, secret: str = SECRET) -> str:
        """The JWT of a request."""
        return vendors.Vonage.signed(body, call_id, now_s, secret)
