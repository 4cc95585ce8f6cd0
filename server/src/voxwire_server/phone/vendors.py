"""Which vendors bring calls, as the settings say."""

from collections.abc import Callable
from typing import Final

from voxwire_server.config import Settings
from voxwire_server.phone.exotel import Exotel
from voxwire_server.phone.plivo import Plivo
from voxwire_server.phone.telnyx import Telnyx
from voxwire_server.phone.twilio import Twilio
from voxwire_server.phone.vendor import Vendor
from voxwire_server.phone.vonage import Vonage

__all__ = ["PhoneSettingError", "vendors_of"]


class PhoneSettingError(ValueError):
    """What the settings say of the telephone cannot be used."""


_MAKERS: Final[dict[str, Callable[[list[str]], Vendor]]] = {
    "phone_twilio_token": Twilio,
    "phone_telnyx_key": Telnyx,
    "phone_plivo_token": Plivo,
    "phone_exotel": Exotel,
    "phone_vonage_secret": Vonage,
}
"""Settings, and what they make."""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def vendors_of(settings: Settings) -> list[Vendor]:
    """The vendors that may bring calls; none = there is no telephone.

    Raises:
        PhoneSettingError: One of them cannot be used.
    """
    vendors: list[Vendor] = []
    for setting, make in _MAKERS.items():
        if known := _listed(getattr(settings, setting)):
            try:
                vendors.append(make(known))
            except ValueError as error:
                name = f"VOXWIRE_{setting.upper()}"
                raise PhoneSettingError(f"{name} cannot be used: {error}") from None
    if vendors and not settings.public_url.strip():
        names = ", ".join(vendor.name for vendor in vendors)
        raise PhoneSettingError(
            f"calls by {names} need VOXWIRE_PUBLIC_URL: the URL that the vendor was told is signed"
        )
    return vendors
