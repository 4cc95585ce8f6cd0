"""Who may announce a call: a signature, once; and what he is answered. In virtual time."""

import base64
import json
import string
from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest

from tests.support.front_door import NOW_S
from tests.support.phone_board import VENDORS, Board, board, ringing
from tests.support.phone_vendors import FAR_ENDS, Announced, Vonage
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.store import StoreUnreachableError

NOT_NOW = "the server cannot tell just now"


def unsigned(webhook: Announced, made: Board) -> None:
    webhook.headers = {k: v for k, v in webhook.headers.items() if k == "content-type"}


def of_another_call(webhook: Announced, made: Board) -> None:
    webhook.body = webhook.body.replace(b"15550100", b"15550101")


def for_another_url(webhook: Announced, made: Board) -> None:
    webhook.query = webhook.query.replace("bot=a", "bot=b")


def too_old(webhook: Announced, made: Board) -> None:
    made.exchange.now_s += 301


def of_the_future(webhook: Announced, made: Board) -> None:
    made.exchange.now_s -= 301


FORGERIES: dict[Callable[[Announced, Board], None], set[str]] = {
    unsigned: set(FAR_ENDS),
    of_another_call: set(FAR_ENDS) - {"exotel"},  # which signs nothing
    for_another_url: {"twilio", "plivo"},  # the others do not sign it
    too_old: {"telnyx", "vonage"},
    of_the_future: {"telnyx", "vonage"},
}


@pytest.mark.parametrize(
    ("vendor", "forge"), [(v, f) for f, vendors in FORGERIES.items() for v in sorted(vendors)]
)
@in_virtual_time
async def test_a_webhook_that_is_not_the_vendors_opens_nothing(
    time: VirtualTime, vendor: str, forge: Callable[[Announced, Board], None]
) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced(vendor)
        forge(webhook, made)
        answered = await made.exchange.request(f"/phone/{vendor}", webhook)
        assert (answered.status, "ticket" in answered.text) == (403, False)
        assert (await made.exchange.ring(vendor)).ticket


@in_virtual_time
async def test_those_who_are_no_vendor_are_counted_and_told_nothing(time: VirtualTime) -> None:
    async with board(time, strangers="5/minute") as made:
        statuses: list[int] = []
        for _ in range(7):
            answered = await made.exchange.ring("twilio", headers={})
            statuses.append(answered.status)
            assert "signed" not in answered.text
        assert statuses == [*[403] * 5, 429, 429]
        assert (await made.exchange.ring("twilio")).ticket  # from the same address


@in_virtual_time
async def test_those_who_are_no_vendor_do_not_fill_the_log(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with board(time) as made:
        for _ in range(100):
            await made.exchange.ring("twilio", headers={})
        assert 20 <= len(caplog.messages) <= 25


class Away(LocalStore):
    """A store that does not answer for a while, though it may have done what it was asked for.

    Attributes:
        times: How often it does not.
        done: Whether it has.
    """

    def __init__(self, *, done: bool) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.times, self.done = 0, done

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        if self.times:
            self.times -= 1
            if self.done:
                await super().claim(what, value, instead_of=instead_of, until_s=until_s)
            raise StoreUnreachableError
        return await super().claim(what, value, instead_of=instead_of, until_s=until_s)


@pytest.mark.parametrize("done", [False, True])
@in_virtual_time
async def test_a_store_that_is_away_for_a_moment_makes_nobody_a_forger(
    time: VirtualTime, done: bool
) -> None:
    store = Away(done=done)
    async with board(time, store=store) as made:
        store.times = 5
        answered = await made.exchange.ring("twilio")
        assert answered.ticket
        store.times = 5
        line = made.exchange.line("twilio", answered.call_id)
        url, sent = answered.opens
        line.open(url)
        line.phone.dial(sent)
        await time.advance(3000)
        assert made.sessions == 1
        store.times = 100
        answered = await made.exchange.ring("twilio")
        assert (answered.status, "busy" in answered.text) == (200, True)
        store.times = 0
        again, answered = await ringing(made)
        url, sent = answered.opens
        store.times = 100
        again.open(url)
        again.phone.dial(sent)
        await time.advance(5000)
        assert again.closed == (4000 + wire.ErrorCode.ERROR_CODE_CAPACITY, NOT_NOW)
        store.times = 0


@in_virtual_time
async def test_any_process_of_a_service_takes_a_call_that_another_one_announced_once(
    time: VirtualTime,
) -> None:
    store = LocalStore(now_s=lambda: NOW_S)
    async with board(time, store=store) as first, board(time, store=store) as second:
        webhook = first.exchange.announced("twilio", call_id="CA1")
        answered = await first.exchange.request("/phone/twilio", webhook)
        answered.vendor = "twilio"
        assert (await second.exchange.request("/phone/twilio", webhook)).status == 403
        url, sent = answered.opens
        for made, is_taken in ((second, True), (first, False), (second, False)):
            line = made.exchange.line("twilio", "CA1")
            line.open(url)
            line.phone.dial(sent)
            await time.advance(100)
            assert (line.closed is None) is is_taken
        assert (first.sessions, second.sessions) == (0, 1)


@in_virtual_time
async def test_a_host_that_a_proxy_or_a_liar_names_is_not_what_is_signed(time: VirtualTime) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced("twilio")
        webhook.headers["host"] = "10.0.0.1:7860"
        assert (await made.exchange.request("/phone/twilio", webhook)).status == 200


@VENDORS
@in_virtual_time
async def test_a_webhook_counts_once(time: VirtualTime, vendor: str) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced(vendor)
        assert (await made.exchange.request(f"/phone/{vendor}", webhook)).status == 200
        await time.advance(200_000)
        assert (await made.exchange.request(f"/phone/{vendor}", webhook)).status == 403
        assert (await made.exchange.ring(vendor)).status == 200


@in_virtual_time
async def test_a_signature_that_is_written_otherwise_does_not_count_again(
    time: VirtualTime,
) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced("telnyx")
        assert (await made.exchange.request("/phone/telnyx", webhook)).status == 200
        given = webhook.headers["telnyx-signature-ed25519"]  # four bits of its end say nothing
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
        other = f"{given[:-3]}{letters[letters.index(given[-3]) ^ 1]}=="
        assert other != given
        assert base64.b64decode(other) == base64.b64decode(given)
        webhook.headers["telnyx-signature-ed25519"] = other
        assert (await made.exchange.request("/phone/telnyx", webhook)).status == 403


@in_virtual_time
async def test_a_body_is_a_form_of_32_kb_at_most(time: VirtualTime) -> None:
    async with board(time) as made:
        assert (await made.exchange.ring("twilio", body=b"a=" + b"x" * 33_000)).status == 413
        headers = {"content-type": "application/json"}
        assert (await made.exchange.ring("twilio", headers=headers, body=b"{}")).status == 415
        assert (await made.exchange.ring("twilio", method="GET")).status == 405


@VENDORS
@in_virtual_time
async def test_a_full_server_and_a_bot_that_is_not_there_are_busy(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time, max_sessions=1) as made:
        await made.exchange.call(vendor)
        answered = await made.exchange.ring(vendor)
        assert (answered.status, answered.ticket) == (200, "")
    async with board(time) as made:
        answered = await made.exchange.ring(vendor, query="bot=nobody")
        assert (answered.status, answered.ticket) == (200, "")
        assert "nobody" not in answered.text


@in_virtual_time
async def test_vonage_may_ask_by_get_as_well(time: VirtualTime) -> None:
    async with board(time) as made:
        query = "bot=b&shop=12&from=%2B15550100&to=%2B15550199&uuid=C-7&conversation_uuid=CON-7"
        said = json.dumps(dict(parse_qsl(query)), separators=(",", ":")).encode()
        token = Vonage.signed(said, "C-7", made.exchange.now_s)
        webhook = Announced("GET", query, {"authorization": f"Bearer {token}"})
        answered = await made.exchange.request("/phone/vonage", webhook)
        answered.vendor = "vonage"
        assert answered.status == 200
        _, sent = answered.opens
        assert sent.keys() == {"ticket", "shop", "call"}
        assert (sent["shop"], sent["call"]) == ("12", "C-7")
        assert (await made.exchange.request("/phone/vonage", webhook)).status == 403
