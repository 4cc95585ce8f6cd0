"""Every hostile case that stock Pipecat was measured with, and the tests that hold it here.

The cases are those of the reliability study, sections 3.1 (malformed offers), 3.2 (a WebSocket with
the protobuf serializer) and 3.4 (real WebRTC clients), against ``/start``, ``/api/offer``, its
PATCH, ``/sessions/{id}/api/offer``, ``/status``, ``/ws-client``, ``/ws`` and the data channel
``chat``. What happened to stock Pipecat stands behind each.
"""

from typing import Final

import pytest

from tests.support.named_tests import exists

HTTP: Final = "server/tests/routes/test_stock_http.py::test_"
STARTS: Final = "server/tests/routes/test_stock_starts.py::test_"
HOSTILE_HTTP: Final = "tests/interop/test_hostile_http.py::test_"
FRAMES: Final = "tests/interop/test_hostile_frames.py::test_"
SOCKETS: Final = "tests/integration/test_stock_sockets.py::test_"
RTC: Final = "tests/integration/test_stock_webrtc.py::test_"
CHANNEL: Final = "server/tests/control/test_rtvi_channel.py::test_"
FORMS: Final = "server/tests/media/test_stock_frames.py::test_"

CASES: Final[dict[str, list[str]]] = {
    # 3.1 offers
    "{}, no JSON, a list, sdp a number (422 that echoes it)": [
        f"{HTTP}a_body_with_anything_wrong_is_refused_without_its_text",
        f"{HTTP}a_body_that_cannot_be_read_is_refused",
        f"{HOSTILE_HTTP}no_body_is_a_servers_error",
    ],
    "JSON 5 000 and 100 000 deep (400)": [
        f"{HTTP}a_body_that_cannot_be_read_is_refused",
        f"{HOSTILE_HTTP}no_body_is_a_servers_error",
    ],
    "sdp empty, sdp garbage (200, a bot that nobody collects)": [
        f"{HTTP}no_offer_is_a_servers_error",
        f"{HOSTILE_HTTP}an_offer_that_broke_stock_pipecat_starts_no_bot_and_is_forgotten",
    ],
    "type answer, rollback, bogus (500)": [
        f"{HOSTILE_HTTP}what_is_no_offer_is_refused_by_its_type"
    ],
    "no ufrag, bad setup, truncated, bad port, bad rtpmap, unknown codec, m=audio (500)": [
        f"{HOSTILE_HTTP}an_offer_that_broke_stock_pipecat_starts_no_bot_and_is_forgotten",
        f"{HOSTILE_HTTP}a_real_offer_with_anything_changed_is_answered_or_refused",
        f"{HTTP}no_offer_is_a_servers_error",
    ],
    "no, bad or md5 fingerprint, no mid (200, bot started)": [
        f"{HOSTILE_HTTP}an_offer_that_broke_stock_pipecat_starts_no_bot_and_is_forgotten",
        f"{HTTP}no_offer_is_a_servers_error",
    ],
    "unknown pc_id, restart_pc without pc_id (200, bot started)": [
        f"{HOSTILE_HTTP}what_is_no_offer_is_refused_by_its_type",
        f"{RTC}a_start_is_one_session_whatever_order_its_offers_come_in",
    ],
    "an extra key (200, bot started)": [
        f"{HTTP}a_body_with_anything_wrong_is_refused_without_its_text"
    ],
    "200 m-lines (an answer of 220 KB)": [
        f"{HOSTILE_HTTP}an_offer_that_broke_stock_pipecat_starts_no_bot_and_is_forgotten",
        "protocol/python/tests/test_rtc.py::test_what_is_not_an_audio_offer_is_refused",
    ],
    "10 MB of SDP, 50 MB of request_data (the loop blocked, 200)": [
        f"{HOSTILE_HTTP}a_body_that_is_too_large_or_never_ends_is_let_go",
        f"{HTTP}a_body_that_cannot_be_read_is_refused",
    ],
    "500, 2 000, 5 000 candidates (another client waits 12.8 s)": [
        f"{HOSTILE_HTTP}offers_beside_each_other_do_not_hold_the_server_up",
        f"{HTTP}a_body_with_anything_wrong_is_refused_without_its_text",
    ],
    "PATCH: unknown pc_id (404), missing field (422), malformed candidates (500)": [
        f"{HTTP}candidates_are_of_use_to_their_connections_owner_alone",
        f"{HOSTILE_HTTP}no_body_is_a_servers_error",
        f"{RTC}a_connection_is_nobodys_but_its_owners",
    ],
    "PATCH: port 999999, 127.0.0.1, 169.254.169.254, multicast, names (200, probed)": [
        f"{HTTP}candidates_are_of_use_to_their_connections_owner_alone",
        f"{HOSTILE_HTTP}a_client_that_names_addresses_makes_the_server_send_nothing_there",
    ],
    "2 000 starts (kept for ever)": [
        f"{HTTP}starts_that_wait_are_bounded",
        f"{STARTS}eight_of_one_token_and_256_in_all_wait_at_once",
        f"{STARTS}a_start_waits_a_minute_for_its_page_and_for_nobody_else",
    ],
    # 3.2 the WebSocket
    "garbage, a text, a cut length, 10 000 groups, bad UTF-8, sample_rate 0 (session dead)": [
        f"{FRAMES}no_frame_of_a_stranger_ends_a_session_or_says_anything",
        f"{SOCKETS}frames_that_are_not_a_clients_change_nothing",
        f"{FORMS}what_is_not_a_clients_to_send_is_refused",
        f"{FORMS}no_bytes_raise_anything_else",
    ],
    "garbage again and again (no end)": [
        f"{SOCKETS}three_frames_of_garbage_in_a_row_end_the_session",
        f"{CHANNEL}bytes_that_are_nothing_end_the_session_the_third_time_in_a_row",
    ],
    "an empty frame, unknown fields, JSON that is none, unknown types (survived)": [
        f"{FRAMES}no_frame_of_a_stranger_ends_a_session_or_says_anything",
        f"{FRAMES}no_text_of_a_stranger_ends_a_session_or_says_anything",
        f"{FORMS}an_arm_of_a_newer_version_is_nothing",
        f"{CHANNEL}no_bad_text_ends_the_session",
    ],
    "odd byte counts, rates of 2^32-1 (survived)": [
        f"{FORMS}audio_that_cannot_be_played_is_refused",
        f"{FRAMES}no_frame_of_a_stranger_ends_a_session_or_says_anything",
    ],
    "15 MB of audio in a frame (accepted), 17 MB (1009)": [
        f"{FRAMES}a_giant_message_closes_its_own_socket_and_compression_is_not_granted"
    ],
    "a deflate bomb of 15 MB (inflated)": [
        f"{FRAMES}a_giant_message_closes_its_own_socket_and_compression_is_not_granted"
    ],
    "a spoofed transcription (accepted)": [
        f"{SOCKETS}frames_that_are_not_a_clients_change_nothing",
        f"{FRAMES}no_frame_of_a_stranger_ends_a_session_or_says_anything",
    ],
    "a forged tool result (accepted)": [
        f"{FRAMES}the_result_of_a_call_that_nobody_asked_for_reaches_no_tool",
        f"{CHANNEL}a_forged_tool_result_is_refused",
        f"{SOCKETS}a_tool_of_the_page_is_run_there_and_answered_once",
    ],
    "an evil Origin (accepted)": [
        f"{SOCKETS}a_page_of_another_origin_is_not_let_in",
        f"{HTTP}a_page_reads_answers_where_its_origin_is_allowed",
        f"{RTC}a_connection_is_nobodys_but_its_owners",
    ],
    "60 s of audio at once (accepted)": [
        f"{FRAMES}a_minute_of_sound_at_once_is_not_a_minute_for_the_bot"
    ],
    "60 sockets that say nothing (alive after 30 s)": [
        f"{SOCKETS}a_socket_that_says_nothing_is_closed",
        "server/tests/routes/test_pending_sockets.py::test_an_address_has_eight",
        f"{HOSTILE_HTTP}a_body_that_is_too_large_or_never_ends_is_let_go",
    ],
    "25 sessions of abuse and 20 aborted ones (back at the baseline)": [
        f"{FRAMES}clients_that_are_gone_in_any_way_leave_nothing",
        f"{SOCKETS}a_client_that_is_silent_is_found_gone_by_its_pongs",
    ],
    # 3.4 real WebRTC clients
    "ten kinds of garbage on the data channel (survived)": [
        f"{FRAMES}no_message_on_the_data_channel_ends_a_session_or_says_anything",
        f"{RTC}a_muted_track_is_silence_and_chat_that_is_none_changes_nothing",
    ],
    "pc_id and restart_pc of somebody else (the victim's bot)": [
        f"{RTC}a_connection_is_nobodys_but_its_owners",
        f"{RTC}a_session_has_one_client_and_no_connection_is_renegotiated",
        f"{HTTP}candidates_are_of_use_to_their_connections_owner_alone",
    ],
    "keys of connections that are over (three for two)": [
        f"{RTC}nothing_is_kept_of_a_connection_that_another_took_the_place_of",
        f"{RTC}offers_that_are_abandoned_leave_nothing",
    ],
    "4 s without a ping (20 of 20 messages lost)": [
        f"{RTC}a_blackout_of_three_seconds_without_a_ping_loses_nothing"
    ],
    "a blackout of 3 s (10 events lost each way)": [
        "tests/faults/test_stock_blackout.py"
        "::test_no_event_of_a_stock_client_is_lost_in_a_blackout_of_3_s",
        f"{RTC}what_is_said_while_a_client_is_away_is_told_when_it_is_back",
    ],
    "a flood without a ping (1 361 messages of 15 KB kept)": [
        f"{RTC}a_flood_is_not_read_and_ends_nothing",
        f"{CHANNEL}a_flood_is_held_back_and_its_errors_are_bounded",
    ],
    "a client that is killed (noticed after 30.8 s)": [
        f"{RTC}a_client_that_goes_for_good_ends_its_session",
        f"{CHANNEL}pings_are_the_wires_and_silence_means_something_only_with_them",
    ],
    "SIGTERM while a call lives (no word, no deadline)": [
        f"{FRAMES}a_server_that_ends_says_so_to_stock_clients",
        "tests/faults/test_parting.py"
        "::test_a_server_that_is_told_to_stop_says_so_to_everybody_and_is_gone",
    ],
}
"""What was sent, with what came of it there → the tests that send it here."""


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_held_by_tests_that_exist(case: str) -> None:
    assert CASES[case]
    assert [name for name in CASES[case] if not exists(name)] == []
