"""A stock bot whose connection is lost and had back."""

from typing import Any

from rtvi_steps import heard, lost, m


def bot_lost() -> list[dict[str, Any]]:
    """What is open ends with its connection; nothing is joined to what comes over the next."""
    arrival = "TIMING_SOURCE_ARRIVAL"

    def state(bot: str, user: str) -> dict[str, Any]:
        return {"stateChanged": {"bot": f"BOT_STATE_{bot}", "user": f"USER_STATE_{user}"}}

    def words(utterance_id: str, text: str, at: int) -> dict[str, Any]:
        word = {"charEnd": len(text), "endEstimated": True}
        value = {"utteranceId": utterance_id, "baseMediaMs": str(at), "text": text}
        return {"utteranceWords": value | {"words": [word], "source": arrival}}

    def begun(utterance_id: str, at: int, **more: str) -> dict[str, Any]:
        value = {"utteranceId": utterance_id, "mediaMs": str(at), "source": arrival}
        return {"utteranceStarted": value | more}

    return [
        heard(m("bot-llm-started"), {"responseStarted": {"responseId": "r1"}}),
        heard(
            m("bot-started-speaking"),
            begun("s1", 40, responseId="r1"),
            state("SPEAKING", "UNSPECIFIED"),
            at=40,
        ),
        heard(m("bot-tts-text", {"text": "First"}), words("s1", "First", 50), at=50),
        lost(
            {"responseEnded": {"responseId": "r1"}},
            {
                "utteranceEnded": {
                    "utteranceId": "s1", "end": "UTTERANCE_END_INTERRUPTED", "heardMediaMs": "90",
                    "heardCharEnd": 5, "heardWords": 1,
                }
            },
            state("IDLE", "SILENT"),
            at=90,
        ),
        lost(at=95),
        heard(
            m("bot-tts-text", {"text": "Second"}),
            begun("s2", 100),
            words("s2", "Second", 100),
            at=100,
        ),
        heard(
            m("bot-interrupted"),
            {
                "utteranceEnded": {
                    "utteranceId": "s2", "end": "UTTERANCE_END_INTERRUPTED", "heardMediaMs": "110",
                    "heardCharEnd": 6, "heardWords": 1,
                }
            },
            {"interrupted": {"utteranceId": "s2"}},
            at=110,
        ),
        heard(m("user-started-speaking"), state("LISTENING", "SPEAKING"), at=110),
        lost(state("IDLE", "SILENT"), at=120),
        heard(
            m("bot-tts-text", {"text": "Third"}),
            begun("s3", 130, turnId="t1"),
            words("s3", "Third", 130),
            at=130,
        ),
    ]  # fmt: skip
