"""What vendors have in common: a webhook announces a call by three fields. Pure."""

from collections.abc import Mapping
from typing import ClassVar

from voxwire_server.phone import reading
from voxwire_server.phone.documents import document, element
from voxwire_server.phone.vendor import DAY_S, FORM, FRESH_S, Dialect, Document, Ringing

__all__ = ["WebhookVendor"]


class WebhookVendor:
    """A part of a :class:`~voxwire_server.phone.vendor.Vendor`."""

    methods: tuple[str, ...] = ("POST",)
    body_type: str = FORM
    own_query: frozenset[str] = frozenset()
    fields: ClassVar[tuple[str, str, str]] = ("CallSid", "From", "To")
    """What names the call, who calls, and who is called."""
    bare_numbers: ClassVar[bool] = False
    """Whether it writes numbers with their country (E.164) without their ``+``."""
    speaks: ClassVar[type[Dialect]]
    """How it writes on a WebSocket."""

    def call_of(self, form: Mapping[str, str], proof: bytes, *, is_dated: bool = False) -> Ringing:
        """The call that a form announces.

        Args:
            form: Its fields.
            proof: What is good once; of a signature what was signed, if it can be written twice.
            is_dated: Whether it says when it was signed, which may be in future as well.

        Raises:
            ForgedError: It announces none.
        """
        call_id, caller, called = self.fields
        return Ringing(
            call_id=reading.field_of(form, call_id),
            caller=reading.party_of(form, caller, bare=self.bare_numbers),
            called=reading.party_of(form, called, bare=self.bare_numbers),
            attestation=self.attested(form),
            proof=proof,
            proof_s=2 * FRESH_S if is_dated else DAY_S,
        )

    def attested(self, form: Mapping[str, str]) -> str:
        """Nothing: it does not say what it was told of the caller's number."""
        return ""

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        """Whoever comes: it signs nothing there; the ticket says whose it is."""
        return True

    def busy(self) -> Document:
        """Turn the call away with a busy tone."""
        return document(element("Reject", reason="busy"))

    def forward(self, to: str) -> Document | None:
        """Nothing: it is told where to put a call through when it is asked to."""
        return None

    def dialect(self) -> Dialect:
        """How it writes on the WebSocket of one more call."""
        return self.speaks()
