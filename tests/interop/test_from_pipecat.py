"""The commands of docs/from-pipecat.md as they stand there, and its table held to the packages."""

import re
from pathlib import Path
from typing import Final

import httpx
import pytest

import voxwire
from tests.support.pipecat_init import needs_pipecat_tools, served_by_pipecat
from tests.support.programs import ADDRESS, ROOT, run, serving
from tests.support.readmes import fences
from tests.support.stock_socket import dialled
from tests.support.waiting import LONG

DOCUMENT: Final = "docs/from-pipecat.md"
SHELL: Final = [f.text for f in fences() if f.path == DOCUMENT and f.language == "sh"]
EXPORT: Final = "export VOXWIRE_KEY=a-secret-of-at-least-32-characters VOXWIRE_HOST=0.0.0.0"
TALK: Final = f'voxwire talk ws://{ADDRESS} --text "what is the weather in Paris"'
ORIGIN: Final = "https://app.example"
CLIENT_REACT: Final = {
    *("PipecatClientAudio", "PipecatClientCamToggle", "PipecatClientMicToggle"),
    *("PipecatClientProvider", "PipecatClientScreenShareToggle", "PipecatClientVideo"),
    *("UIJobGroupsContext", "UIJobGroupsProvider", "VoiceVisualizer", "deduplicateFunctionCalls"),
    *("filterBotOutputText", "filterEmptyMessages", "isMessageEmpty", "mergeMessages"),
    *("sortByCreatedAt", "useConversationContext", "useDTMF", "useDefaultClickHandler"),
    *("useDefaultFocusHandler", "useDefaultHighlightHandler", "useDefaultScrollToHandler"),
    *("useDefaultSelectTextHandler", "useDefaultSetInputValueHandler"),
    *("useDefaultUICommandHandlers", "useMediaState", "useNavigateHandler", "usePipecatClient"),
    *("usePipecatClientCamControl", "usePipecatClientMediaDevices", "usePipecatClientMediaTrack"),
    *("usePipecatClientMicControl", "usePipecatClientScreenShareControl"),
    *("usePipecatClientTransportState", "usePipecatConversation", "useRTVIClientEvent"),
    *("useToastHandler", "useUICommandHandler", "useUIEventSender", "useUIJobGroups"),
    "useUISnapshot",
}
"""What `dist/index.d.ts` of @pipecat-ai/client-react 1.8.2 exports beside types."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the document has it: the example's bot, and another one, whose runner is not told
    to leave the signals alone.
    """
    source = (ROOT / "examples/from-pipecat/bot.py").read_text("utf-8")
    (tmp_path / "bot.py").write_text(source, "utf-8")
    careless = source.replace("handle_sigint=runner_args.handle_sigint", "")
    assert careless != source
    (tmp_path / "support.py").write_text(careless, "utf-8")
    return tmp_path


def command(line: str) -> tuple[str, ...]:
    """The fence that begins with that line, as a shell runs it."""
    [text] = [text for text in SHELL if text.startswith(f"{line}\n")]
    return ("bash", "-ec", re.sub(r"^(voxwire|python)", r"exec \1", text, flags=re.MULTILINE))


def test_every_command_of_the_document_is_run_here() -> None:
    assert len(SHELL) == 5


async def test_the_server_runs_the_file_and_a_page_s_tool_is_one_more(folder: Path) -> None:
    shown: list[str] = []

    @voxwire.tool
    async def show_on_map(place: str) -> str:
        """Show a place on the map."""
        shown.append(place)
        return "there"

    async with serving(command("voxwire-server run bot.py"), folder) as url:
        async with voxwire.connect(url, tools=[show_on_map], timeouts=LONG) as session:
            await session.wait_for(voxwire.BotWord)
            await session.send_text("show Paris on the map")
            while not shown:
                await session.wait_for(voxwire.ToolCallStarted)
                await session.wait_for(voxwire.ToolCallEnded)
            assert shown == ["Paris"]
        *shell, line = command(TALK)
        ended = await run((*shell, line.replace(ADDRESS, url.removeprefix("ws://"))), folder)
        assert ended.status == 0, ended.err
        assert "In Paris it is sunny today, with a high of 22" in ended.out


@needs_pipecat_tools
async def test_pipecat_s_own_runner_runs_the_same_file(folder: Path) -> None:
    async with served_by_pipecat(command("python bot.py"), folder) as url:
        async with dialled(f"{url}/ws-client") as client:
            await client.ready()
            await client.until(lambda: client.spoken.startswith("Hello, I am your concierge."))
            asked = await client.say("client-message", {"t": "name"})
            await client.until(lambda: client.of("server-response"))
            [answer] = [m for m in client.messages if m["type"] == "server-response"]
            assert (answer["id"], answer["data"]["d"]) == (asked, "concierge")


async def test_beyond_loopback_a_page_needs_its_origin_and_a_token(folder: Path) -> None:
    """The address aside, which stays on loopback here."""
    *shell, text = command(EXPORT)
    assert f"VOXWIRE_ALLOWED_ORIGINS={ORIGIN}" in text
    assert "VOXWIRE_HOST=0.0.0.0" in text
    async with (
        serving((*shell, text.replace("0.0.0.0", "127.0.0.1")), folder) as url,
        httpx.AsyncClient(base_url=url.replace("ws:", "http:"), trust_env=False) as http,
    ):
        key = {"Authorization": "Bearer a-secret-of-at-least-32-characters"}
        token = (await http.post("/v1/tokens", headers=key, json={"user": "ada"})).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        for headers, status in (
            ({"Origin": ORIGIN}, 401),
            ({"Origin": "https://other.example", **bearer}, 403),
            ({"Origin": ORIGIN, **bearer}, 200),
        ):
            answer = await http.post("/start", headers=headers, json={"transport": "webrtc"})
            assert answer.status_code == status, answer.text


async def test_several_files_are_several_bots_and_ctrl_c_is_the_servers(folder: Path) -> None:
    async with serving(command("voxwire-server run bot.py support.py"), folder) as url:
        async with dialled(f"{url}/ws-client?bot=support") as client:
            await client.ready()
            await client.until(lambda: client.spoken)


def rows() -> list[list[str]]:
    """The table of components: what is there, and what is here."""
    text = (ROOT / DOCUMENT).read_text("utf-8")
    table = text.partition("| there | `@voxwire/react` | |")[2].partition("\n\n")[0]
    return [line.split("|")[1:3] for line in table.splitlines()[2:]]


def test_every_export_of_client_react_is_in_the_table_once() -> None:
    named = [name for row in rows() for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(CLIENT_REACT)


def test_every_hook_that_the_table_names_is_ours() -> None:
    index = (ROOT / "clients/js/packages/react/src/index.ts").read_text("utf-8")
    ours = set(re.findall(r"\b(?:type )?(\w+)\b", index))
    named = {name for row in rows() for name in re.findall(r"`(\w+)`", row[1])}
    assert named
    assert named <= ours
