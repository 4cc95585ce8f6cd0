"""``voxwire-server``: the command line."""

import argparse
import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.bots.house import Bots
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
    run.add_argument(
        "bot",
        nargs="*",
        help="Python file with 'async def bot(session)', or one for Pipecat's runner, with 'async"
        " def bot(runner_args)'; or a built-in bot: offline (default), gemini, openai-realtime,"
        " nova-sonic; clients choose among several by name, a file's is that of the file without"
        " .py",
    )
    run.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    run.add_argument("--port", type=int, help="port to listen on (default 7860; 0 = any free)")
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
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 after a normal end, 1 after an error, 2 after wrong usage.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.version:
        from voxwire_server.app import server_version

        print(f"voxwire-server {server_version()}")
        return 0
    if options.command != "run":
        parser.print_help()
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from voxwire_server.config import Settings, UnknownSettingError

    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name in Settings.model_fields
    }
    given["bot"] = ",".join(options.bot)
    if not options.bot:
        del given["bot"]
    try:
        settings = Settings(**given)
    except UnknownSettingError as error:
        print(f"voxwire-server: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        first = error.errors()[0]
        name = "VOXWIRE_" + str(first["loc"][0]).upper()
        print(f"voxwire-server: {name}: {first['msg']}", file=sys.stderr)
        return 2
    return _serve(settings)


def _serve(settings: "Settings") -> int:
    from voxwire_server.bots.house import Bots, BotsError
    from voxwire_server.bots.registry import BotNotFoundError, load_bot
    from voxwire_server.ice_servers import IceServersError
    from voxwire_server.keys import KeyRingError
    from voxwire_server.proxies import ProxiesError
    from voxwire_server.serving import (
        MissingKeyError,
        bind,
        how_to_talk,
        log_as,
        make_server,
        port_of,
        run_server,
        where,
    )

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
    port = port_of(listener)
    try:
        bots = Bots([load_bot(name.strip()) for name in settings.bot.split(",")])
        server = make_server(settings, bots, port=port)
    except (BotNotFoundError, BotsError, KeyRingError, IceServersError, ProxiesError) as error:
        listener.close()
        print(f"voxwire-server: {error}", file=sys.stderr)
        return 1
    _announce(bots, where(settings, port))
    print(how_to_talk(settings, port, bots.names), "  (Ctrl-C ends the server)", flush=True)
    run_server(server, listener)
    return 0


def _announce(bots: "Bots", url: str) -> None:
    names = ", ".join(f"'{name}'" for name in bots.names)
    who = f"Bots {names} listen" if len(bots.names) > 1 else f"Bot {names} listens"
    print(f"{who} on {url}", flush=True)
    for bot in bots.all:
        for example in bot.examples:
            print(f'  say "{example}"')
        for note in bot.notes:
            print(f"  {note}")


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
