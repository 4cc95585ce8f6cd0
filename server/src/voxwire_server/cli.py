"""``voxwire-server``: the command line."""

import argparse
import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxwire_server.config import Settings

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voxwire-server", description="Serve a Pipecat voice bot to any app."
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="serve a bot",
        description="Serve a bot. Every option is also a VOXWIRE_* environment variable.",
    )
    _add_settings(run)
    check = commands.add_parser(
        "check",
        help="say before start what is wrong with settings, certificate, TURN, keys, ports",
        description="Look at everything that a server with these settings needs, and say what is"
        " wrong with it. It asks the TURN servers and the public URL; no session is opened.",
        epilog="exit codes: 0 nothing failed, 1 something did, 2 wrong usage",
    )
    _add_settings(check)
    check.add_argument("--json", action="store_true", help="print one JSON object")
    _add_sessions(commands)
    commands.add_parser(
        "health",
        help="ask the server of this machine whether it is alive (for a container's HEALTHCHECK)",
        description="Ask /livez where a server with these VOXWIRE_* listens.",
        epilog="exit codes: 0 it is, 1 it is not",
    )
    return parser


def _add_sessions(commands: Any) -> None:
    sessions: argparse.ArgumentParser = commands.add_parser(
        "sessions",
        help="show the sessions of a server, live; end one",
        description="Show the sessions of a server that has VOXWIRE_ADMIN_KEY, anew every second"
        " until Ctrl-C. The key is taken from the same variable here.",
    )
    sessions.add_argument(
        "--url", default="http://127.0.0.1:7860", help="the server (default %(default)s)"
    )
    sessions.add_argument("--once", action="store_true", help="print them once")
    sessions.add_argument("--json", action="store_true", help="a line of JSON each time")
    sessions.add_argument("--end", metavar="ID", help="end that session")
    sessions.add_argument("--reason", default="", help="what its client is told")


def _add_settings(run: argparse.ArgumentParser) -> None:
    """The options that are settings, too."""
    run.add_argument(
        "bot",
        nargs="*",
        help="Python file with 'async def bot(session)', or one for Pipecat's runner, with 'async"
        " def bot(runner_args)'; or a built-in bot: offline (default), cascade (with --stt, --llm,"
        " --tts), local, gemini, openai-realtime, nova-sonic; clients choose among several by name,"
        " a file's is that of the file without .py",
    )
    who = "of a cascade, in the order in which they are asked, separated by commas"
    run.add_argument("--stt", metavar="WHO", help=f"ears {who}: deepgram, openai, whisper")
    run.add_argument("--llm", metavar="WHO", help=f"mind {who}: anthropic, openai, ollama")
    run.add_argument(
        "--tts",
        metavar="WHO",
        help=f"voice {who}: cartesia, elevenlabs, openai, kokoro, offline",
    )
    run.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    run.add_argument("--port", type=int, help="port to listen on (default 7860; 0 = any free)")
    run.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes behind that port, each with sessions of its own (default 1); needs a Redis"
        " server, which is started when VOXWIRE_ENGINE names none",
    )
    run.add_argument(
        "--profile",
        choices=["latency", "throughput"],
        help="20 ms blocks, or 60 ms blocks for many sessions (default latency)",
    )
    run.add_argument(
        "--max-duration-s", type=int, metavar="S", help="longest session, seconds (default: any)"
    )
    run.add_argument(
        "--idle-s",
        type=int,
        metavar="S",
        help="end a session when nobody speaks or types for so long, seconds (default: never)",
    )
    run.add_argument(
        "--answer-timeout-ms",
        type=int,
        help="how long a model or a voice may be silent that owes an answer (default 15000; 0 = for"
        " ever)",
    )
    run.add_argument(
        "--log-level", choices=["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"], help="what to log"
    )
    run.add_argument("--log-format", choices=["text", "json"], help="lines for people or machines")


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 after a normal end, 1 after an error, 2 after wrong usage.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.version:
        from voxwire_server.version import server_version

        print(f"voxwire-server {server_version()}")
        return 0
    match options.command:
        case "run":
            return _run(options)
        case "check":
            return _check(options)
        case "sessions":
            return _sessions(options)
        case "health":
            return _health()
        case _:
            parser.print_help()
            return 2


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of the command line."""
    from voxwire_server.config import Settings

    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name in Settings.model_fields
    }
    given["bot"] = ",".join(options.bot)
    if not options.bot:
        del given["bot"]
    return given


def _run(options: argparse.Namespace) -> int:
    from voxwire_server.preflight import checked_settings

    settings, wrong = checked_settings(_given(options))
    if settings is None:
        for finding in wrong:
            print(f"voxwire-server: {finding.detail}", file=sys.stderr)
        return 2
    return _serve(settings)


def _check(options: argparse.Namespace) -> int:
    import asyncio
    import json

    from voxwire_server.logs import configure_logging

    configure_logging("ERROR")
    from voxwire_server.preflight import checked_settings, preflight

    settings, findings = checked_settings(_given(options))
    if settings is not None:
        findings = asyncio.run(preflight(settings))
    failed = any(finding.state == "failed" for finding in findings)
    if options.json:
        found = [finding._asdict() for finding in findings]
        print(json.dumps({"ok": not failed, "findings": found}))
    else:
        marks = {"ok": "ok", "warning": "warning", "failed": "FAILED"}
        for name, state, detail in findings:
            print(f"{name:<12} {marks[state]:<8} {detail}")
    return 1 if failed else 0


def _sessions(options: argparse.Namespace) -> int:
    from voxwire_server.admin.table import AdminApi, AdminError, show

    try:
        api = AdminApi(options.url, os.environ.get("VOXWIRE_ADMIN_KEY", ""))
        if options.end is not None:
            api.end(options.end, options.reason)
        else:
            show(api, once=options.once, as_json=options.json)
    except AdminError as error:
        print(f"voxwire-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _health() -> int:
    from voxwire_server.config import Settings
    from voxwire_server.health import HealthError, ask

    try:
        ask(Settings())
    except (HealthError, ValueError) as error:
        print(f"voxwire-server: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(settings: "Settings") -> int:
    from voxwire_server.gate import MissingKeyError
    from voxwire_server.listeners import bind
    from voxwire_server.start_up import log_as

    try:
        log_as(settings)
    except OSError as error:
        print(f"voxwire-server: VOXWIRE_LOG_FILE: {error}", file=sys.stderr)
        return 1
    try:
        listener = bind(settings)
    except MissingKeyError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(_why_not(settings.host, settings.port, error), file=sys.stderr)
        return 1
    with closing(listener):
        why = (
            _serve_several(settings, listener)
            if settings.workers > 1
            else _serve_here(settings, listener)
        )
    if why:
        print(f"voxwire-server: {why}", file=sys.stderr)
    return 0 if why is None else 1


def _serve_here(settings: "Settings", listener: socket.socket) -> str | None:
    """Serve in this process; why it does not start."""
    import asyncio

    from voxwire_server.cluster import why_no_engine
    from voxwire_server.listeners import port_of
    from voxwire_server.serving import NotStartedError, lines_of, open_server, run_server

    if why := asyncio.run(why_no_engine(settings)):
        return why
    port = port_of(listener)
    try:
        server, bots = open_server(settings, port=port)
    except NotStartedError as error:
        return str(error)
    _announce(settings, port, bots.names, lines_of(bots))
    run_server(server, listener)
    return None


def _serve_several(settings: "Settings", listener: socket.socket) -> str | None:
    """Serve in several processes, and watch over them; why they do not start, empty where one of
    them has said it.
    """
    import asyncio

    from voxwire_server.listeners import forget, port_of
    from voxwire_server.workers.handing import Ready
    from voxwire_server.workers.supervisor import Supervisor, WorkersError, why_no_workers

    def announce(ready: Ready) -> None:
        _announce(settings, port_of(listener), ready.names, ready.lines)

    async def serve() -> None:
        await Supervisor(settings, listener, announce=announce).run()

    if why := why_no_workers(settings):
        return why
    try:
        asyncio.run(serve())
    except WorkersError as error:
        return str(error)
    finally:
        forget(listener)
    return None


def _announce(settings: "Settings", port: int, names: Sequence[str], lines: Sequence[str]) -> None:
    from voxwire_server.start_up import how_to_talk, where

    quoted = ", ".join(f"'{name}'" for name in names)
    who = f"Bots {quoted} listen" if len(names) > 1 else f"Bot {quoted} listens"
    workers = f" with {settings.workers} workers" if settings.workers > 1 else ""
    print(f"{who} on {where(settings, port)}{workers}", *lines, sep="\n")
    print(how_to_talk(settings, port, names), "  (Ctrl-C ends the server)", flush=True)


def _why_not(host: str, port: int, error: OSError) -> str:
    from voxwire_server.proxies import is_unix

    if error.errno == errno.EADDRINUSE and not is_unix(host):
        holder = port_holder(port)
        by = f" by {holder}" if holder else ""
        return f"voxwire-server: port {port} is taken{by}; choose another with --port"
    place = host if is_unix(host) else f"{host}:{port}"
    return f"voxwire-server: cannot listen on {place}: {error.strerror}"


def port_holder(port: int) -> str:
    """Who listens on a local TCP port, as ``name (pid N)``; empty when it cannot be seen."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return ""


if __name__ == "__main__":
    sys.exit(main())
