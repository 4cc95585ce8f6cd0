"""Loading a bot from a Python file, ours or one that was written for Pipecat's runner.

A file has ``async def bot(session)``, or ``async def bot(runner_args)`` as Pipecat's runner calls
it (:mod:`runner_file`). What goes wrong on the way is told in a sentence that says what to do.
"""

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, Final

from dotenv.main import DotEnv

from voxwire_server.bots import file_notes
from voxwire_server.bots.loaded_bot import BotNotFoundError, LoadedBot, nothing
from voxwire_server.bots.missing import missing_key, missing_package

__all__ = ["load_file"]

_RUNNER: Final = "pipecat.runner."
_ARGUMENTS: Final = "RunnerArguments"
"""How the classes end that Pipecat's runner gives to a bot."""
_SIGNATURES: Final = "'async def bot(session)', or 'async def bot(runner_args)' as Pipecat's runner"


def load_file(path: Path) -> LoadedBot:
    """Load the function ``bot`` of a Python file.

    ``.env`` beside the file is read first; the environment wins, also what another bot's ``.env``
    has put there, and a note says so where the two differ. ``warm``, ``close``, ``EXAMPLES``,
    ``ACCEPTS``, ``WAITS`` and ``CAPS`` of the file are used where it has them.

    Raises:
        BotNotFoundError: The file cannot be loaded, or has no such function.
    """
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BotNotFoundError(f"{path} is not a Python file: {error}") from error
    settings = DotEnv(path.parent / ".env", override=False)
    unused = file_notes.of_settings(settings.dict(), path, os.environ)
    settings.set_as_environment_variables()
    if not file_notes.is_ours(source):
        from voxwire_server.bots import runner_file

        runner_file.install(source)
    module = _loaded(path)
    run = _checked(getattr(module, "bot", None), path)
    notes: tuple[str, ...] = ()
    if _is_for_runner(run, module):
        from voxwire_server.bots import runner_file

        run = runner_file.as_session_bot(run, path)
        notes = file_notes.of_entries(source, path.name, runner_file.SERVED)
    return LoadedBot(
        name=path.stem,
        run=run,
        notes=(*notes, *unused, *file_notes.of_keys(source, path, os.environ)),
        **_said_by(module),
    )


def _said_by(module: ModuleType) -> dict[str, Any]:
    """What a file says of its bot beside the function; those who serve it check that."""
    accepts: Any = getattr(module, "ACCEPTS", None)
    return {
        "warm": getattr(module, "warm", nothing),
        "close": getattr(module, "close", nothing),
        "examples": tuple(getattr(module, "EXAMPLES", ())),
        "accepts": None if accepts is None else tuple(accepts),
        "waits": getattr(module, "WAITS", None),
        "caps": getattr(module, "CAPS", {}),
    }


def _loaded(path: Path) -> ModuleType:
    """The file as a module; as it is not ``__main__``, what stands under that is not run.

    Raises:
        BotNotFoundError: It is no Python, or what it does as it is loaded fails.
    """
    spec = importlib.util.spec_from_file_location(f"voxwire_bot_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BotNotFoundError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file does
        del sys.modules[spec.name]
        raise BotNotFoundError(_why(error, path)) from error
    return module


def _why(error: BaseException, path: Path) -> str:
    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            return error.code
        return (
            f"{path.name} ends the program as it is loaded: put what starts a runner or a server"
            " under 'if __name__ == \"__main__\":'"
        )
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    said = missing_package(error, path.name) or missing_key(error, path)
    return said or f"{_line_of(error, path)}: {type(error).__name__}: {error}"


def _line_of(error: BaseException, path: Path) -> str:
    """Where in the file it happened."""
    lines = [at.lineno for at in extract_tb(error.__traceback__) if at.filename == str(path)]
    return f"{path.name}, line {lines[-1]}" if lines else path.name


def _checked(run: Any, path: Path) -> Callable[[Any], Any]:
    """The bot, if it is a function that can be called with one argument and awaited.

    Raises:
        BotNotFoundError: It is not.
    """
    if run is None:
        raise BotNotFoundError(f"{path.name} has no function 'bot': write {_SIGNATURES} calls it")
    if not inspect.iscoroutinefunction(run):
        raise BotNotFoundError(f"'bot' of {path.name} is not async: write {_SIGNATURES} calls it")
    signature = inspect.signature(run)
    try:
        signature.bind(None)
    except TypeError:
        raise BotNotFoundError(
            f"'bot' of {path.name} is called with one argument, and is"
            f" 'bot{signature}': write {_SIGNATURES} calls it"
        ) from None
    return run


def _is_for_runner(run: Callable[[Any], Any], module: ModuleType) -> bool:
    """Whether the bot is one of Pipecat's runner: by what its argument is said to be; where
    nothing is said, by what the file has imported.
    """
    [first, *_] = inspect.signature(run).parameters.values()
    kind = first.annotation
    if kind is not inspect.Parameter.empty:
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
        return name.rpartition(".")[2].strip("'\"").endswith(_ARGUMENTS)
    used = (getattr(value, "__module__", None) for value in vars(module).values())
    return first.name == "runner_args" or any(str(name).startswith(_RUNNER) for name in used)
