"""Which vendors bring calls, as the settings say."""

from voxwire_server.config import Settings
from voxwire_server.phone.twilio import Twilio
from voxwire_server.phone.vendor import Vendor

__all__ = ["PhoneSettingError", "vendors_of"]


class PhoneSettingError(ValueError):
    """What the settings say of the telephone cannot be used."""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def vendors_of(settings: Settings) -> list[Vendor]:
    """The vendors that may bring calls; none = there is no telephone.

    Raises:
        PhoneSettingError: One of them cannot be used.
    """
    vendors: list[Vendor] = []
    if tokens := _listed(settings.phone_twilio_token):
        vendors.append(Twilio(tokens))
    if vendors and not settings.public_url.strip():
        names = ", ".join(vendor.name for vendor in vendors)
        raise PhoneSettingError(
            f"calls by {names} need VOXWIRE_PUBLIC_URL: the URL that the vendor was told is signed"
        )
    return vendors
