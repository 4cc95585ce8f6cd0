"""``voxwire completion``: what a shell completes after ``voxwire``. Made of the parser itself."""

import argparse
from collections.abc import Iterator
from typing import Any

__all__ = ["SHELLS", "completion"]

SHELLS = ("bash", "zsh", "fish")


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """The commands, each with its options."""
    for action in parser._actions:
        choices: Any = action.choices
        if not hasattr(choices, "items"):
            continue
        for name, command in choices.items():
            options = [flag for one in command._actions for flag in one.option_strings]
            yield name, [flag for flag in options if flag.startswith("--")]


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell: ``eval "$(voxwire completion bash)"``, for fish ``| source``."""
    commands = dict(_commands(parser))
    names = " ".join(commands)
    if shell == "fish":
        lines = [
            "complete -c voxwire -n __fish_use_subcommand -f",
            f"complete -c voxwire -n __fish_use_subcommand -a '{names}'",
        ]
        for name, options in commands.items():
            used = f"-n '__fish_seen_subcommand_from {name}'"
            lines += [f"complete -c voxwire {used} -l {flag[2:]}" for flag in options]
        return "\n".join(lines)
    cases = "\n".join(
        f"    {name}) words='{' '.join(options)}' ;;" for name, options in commands.items()
    )
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{head}_voxwire() {{
  local words='{names}'
  [ "$COMP_CWORD" -gt 1 ] && case "${{COMP_WORDS[1]}}" in
{cases}
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _voxwire voxwire"""
