"""What the tests are: their parts, and the shares of a part that run in one process."""

from dataclasses import dataclass

__all__ = ["BROWSER", "MOMENTS", "PARTS", "SHARES", "UNIT", "Share", "pages", "whole"]

PARTS = {
    "cores": ["protocol/python/tests"],
    "mobile": [],
    "server": ["server/tests"],
    "clients": ["clients/python/tests"],
    "browser": [],
    "interop": ["tests"],
    "faults": ["tests/faults"],
}


@dataclass(frozen=True)
class Share:
    """Tests of a part that run in one process: what no other share of the part has, if `paths` is
    empty. `seconds` is about what it takes; the longest starts first. `vitest` names the
    configuration of vitest that runs it instead of pytest; `cargo`: it is what `mobile.py` runs;
    `client`: once that has ended, against the client in Rust that it has built;
    `apart`: in a network of its own; `consumers`: with what the lock file of `npm.CONSUMERS` names;
    `busy`: it computes all the time; `alone`: it measures, so it runs when all others have ended;
    `system`: `make system` runs it, and `make test` does not.
    """

    part: str
    name: str
    seconds: int
    paths: tuple[str, ...] = ()
    vitest: str = ""
    cargo: bool = False
    client: bool = False
    apart: bool = False
    consumers: bool = False
    busy: bool = False
    alone: bool = False
    system: bool = False


UNIT = "clients/js/vitest.config.ts"
BROWSER = "clients/js/vitest.browser.config.ts"
MOMENTS = "clients/js/vitest.timing.config.ts"


def whole(*names: str) -> tuple[str, ...]:
    """Files of the tests that span packages."""
    return tuple(f"tests/integration/test_{name}.py" for name in names)


def pages(*names: str) -> tuple[str, ...]:
    """Files of the tests in a browser, by how their names begin."""
    return tuple(f"test/browser/{name}" for name in names)


STOCK_BOTS = ("last_word", "stock_bot", "stock_readme", "false_bots", "frames", "restarts")

SHARES = [
    Share("cores", "", 45, busy=True),
    Share("mobile", "", 150, cargo=True, busy=True),
    Share("mobile", "talk", 95, whole("talk", "words"), client=True),
    Share(
        "mobile",
        "interruptions",
        55,
        (*whole("interruptions"), "tests/faults/test_driven_loss.py"),
        client=True,
    ),
    Share(
        "mobile", "cuts", 70, (*whole("driven_client"), "tests/faults/test_cuts.py"), client=True
    ),
    Share("cores", "rtc", 30, ("protocol/python/tests/test_rtc.py",)),
    Share("server", "bots", 80, ("server/tests/bots",)),
    Share("server", "", 60, busy=True),
    Share("clients", "python", 50),
    Share(
        "clients",
        "matrix",
        40,
        tuple(f"clients/python/tests/test_lifecycle_{name}.py" for name in ("matrix", "orders")),
        busy=True,
    ),
    Share("clients", "js", 60, vitest=UNIT, busy=True),
    Share("browser", "talk", 95, pages("talk", "microphone", "console-words"), vitest=BROWSER),
    Share("browser", "cuts", 40, pages("cuts"), vitest=BROWSER),
    Share("browser", "Daily", 25, pages("daily"), vitest=BROWSER),
    Share("browser", "lifecycle", 35, pages("lifecycle"), vitest=BROWSER),
    Share("browser", "stock bot", 35, pages("stock-bot"), vitest=BROWSER),
    Share("browser", "cycles", 40, pages("cycles", "suspended"), vitest=BROWSER),
    Share(
        "browser",
        "console",
        60,
        pages("console-looks", "console-talk", "react-app"),
        vitest=BROWSER,
    ),
    Share("browser", "stock talk", 35, pages("stock-talk"), vitest=BROWSER),
    Share("browser", "stock restart", 30, pages("stock-restart", "stock-leaving"), vitest=BROWSER),
    Share("browser", "stock heard", 25, pages("stock-heard"), vitest=BROWSER),
    Share("interop", "bot", 100, whole("offline_bot", "wheels")),
    Share("interop", "talk", 110, whole("talk", "words", "turn_metrics")),
    Share(
        "interop",
        "cuts",
        55,
        whole("interruptions", "client_tools", "forged_results", "hostile"),
    ),
    Share(
        "interop",
        "stock clients",
        75,
        (*whole("stock_sockets", "stock_webrtc"), "tests/interop/test_scenarios.py"),
    ),
    Share(
        "interop",
        "stock bots",
        75,
        tuple(f"tests/interop/test_{name}.py" for name in STOCK_BOTS),
    ),
    Share(
        "interop",
        "bot files",
        70,
        (
            "tests/interop/test_bot_files.py",
            "tests/interop/test_pipecat_init.py",
            "tests/interop/test_from_pipecat.py",
        ),
    ),
    Share(
        "interop",
        "evals and strangers",
        70,
        tuple(
            f"tests/interop/test_{name}.py"
            for name in ("eval", "eval_format", "hostile_http", "hostile_frames", "hostile_cases")
        ),
    ),
    Share("interop", "every route", 35, whole("every_route", "every_socket", "openapi"), busy=True),
    Share("interop", "files", 45, whole("files", "stock_files")),
    Share("interop", "leaks", 50, whole("leaks", "kept_microphone")),
    Share(
        "interop",
        "gemini",
        55,
        whole(
            *("gemini_bot", "gemini_peer", "gemini_readme", "gemini_stock"),
            *("openai_realtime_bot", "s2s_words"),
        ),
    ),
    Share("interop", "readmes", 90, whole("readme_programs", "readmes", "tarballs")),
    Share(
        "interop",
        "answers",
        60,
        whole(
            *("plain_processors", "verb_order", "answer_timeout", "heard_order", "stood_still"),
            *("odd_frames", "voice_shapes"),
        ),
    ),
    Share("interop", "sessions", 105, whole("races", "resume", "reports", "toys", "fake_server")),
    Share("interop", "several processes", 100, whole("replicas", "workers")),
    Share(
        "interop",
        "telephone",
        45,
        whole("phone_words", "phone_offline", "phone_command"),
        busy=True,
    ),
    Share("interop", "cascade", 35, whole("cascade", "provider_peers")),
    Share(
        "interop",
        "Daily",
        60,
        whole("daily_line", "daily_room", "daily_sdk", "daily_voice", "stock_daily"),
    ),
    Share("interop", "echo", 40, whole("echo"), busy=True),
    Share("interop", "self-host files", 25, whole("compose", "notices", "oidc")),
    Share(
        "interop",
        "keys, caps and places",
        75,
        whole("rotation", "caps", "waiting_room", "ready_turn", "two_turn_secrets"),
    ),
    Share("interop", "rest", 130),
    Share("faults", "cuts", 55, ("tests/faults/test_cuts.py",)),
    Share("faults", "leaving", 30, ("tests/faults/test_leaving.py",)),
    Share(
        "faults",
        "relays and fronts",
        20,
        ("tests/faults/test_shipped_coturn.py", "tests/faults/test_front_limits.py"),
    ),
    Share("faults", "rest", 65),
    # whole programs at length: make system
    Share(
        "browser", "consumers", 80, pages("consumers"), vitest=BROWSER, consumers=True, system=True
    ),
    Share(
        "clients",
        "lifecycle",
        90,
        ("clients/python/tests/test_lifecycle_all.py",),
        busy=True,
        system=True,
    ),
    Share("browser", "stock cuts", 150, pages("stock-cuts"), vitest=BROWSER, system=True),
    Share("browser", "diagnose", 40, pages("diagnose"), vitest=BROWSER, system=True),
    Share("browser", "firefox", 45, pages("firefox"), vitest=BROWSER, apart=True, system=True),
    Share("interop", "rooms", 90, whole("echo_long"), busy=True, system=True),
    Share("interop", "live sound", 130, whole("live_sound"), system=True),
    Share("interop", "fresh install", 80, whole("fresh_install"), system=True),
    Share("interop", "self-host", 420, whole("self_host"), system=True),
    Share("interop", "every route at length", 90, whole("openapi_long"), busy=True, system=True),
    Share("interop", "canaries", 90, whole("canaries_told", "canaries_commands"), system=True),
    Share("interop", "release", 200, whole("dist"), system=True),
    Share("interop", "image", 240, whole("image"), system=True),
    Share("interop", "example bots", 65, whole("example_bots"), system=True),
    Share("interop", "python examples", 110, whole("python_examples"), system=True),
    Share("interop", "telephone at length", 160, whole("phone_long"), system=True),
    Share("interop", "speech to speech", 80, whole("s2s_cuts", "s2s_endings"), system=True),
    Share(
        "interop",
        "cluster",
        215,
        whole(
            *("cluster_crash", "cluster_rolling", "cluster_doors", "cluster_tokens"),
            *("cluster_engine", "cluster_groups", "cluster_workers", "cluster_upgrade"),
        ),
        alone=True,
        system=True,
    ),
    Share("interop", "sip trunk", 240, whole("sip_trunk", "sip_gateway"), system=True),
    Share("faults", "sip calls", 200, ("tests/faults/test_sip_calls.py",), system=True),
    Share("faults", "providers", 75, ("tests/faults/test_providers_fail.py",), system=True),
    Share("faults", "doctor", 60, ("tests/faults/test_doctor_apart.py",), system=True),
    Share(
        "faults",
        "front",
        100,
        ("tests/faults/test_forged_addresses.py", "tests/faults/test_proxy_reloads.py"),
        system=True,
    ),
    Share("faults", "overload", 120, ("tests/faults/test_overload.py",), system=True),
    Share("faults", "ends", 65, ("tests/faults/test_ungraceful.py",), system=True),
    Share(
        "faults",
        "parting",
        65,
        ("tests/faults/test_parting.py", "tests/faults/test_dead_peers.py"),
        system=True,
    ),
]
