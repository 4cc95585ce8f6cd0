"""``voxwire completion``: what a shell completes after ``voxwire``. Made of the parser itself."""

import argparse
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["SHELLS", "completion"]

SHELLS: Final = ("bash", "zsh", "fish")

_LISTED: Final = re.compile(r"^  (-.*?)(?:   |$)", re.MULTILINE)
"""What stands at the left of a help text: an option with its other names."""
_OPTION: Final = re.compile(r"--[a-z][a-z-]*")


def completion(parsers: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """The script for a shell: ``eval "$(voxwire completion bash)"``, for fish ``| source``.

    Args:
        parsers: Of the commands, by name.
        shell: One of `SHELLS`.
    """
    commands = {
        name: sorted(
            {
                option
                for listed in _LISTED.findall(parser.format_help())
                for option in _OPTION.findall(listed)
            }
        )
        for name, parser in parsers.items()
    }
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
    commands["completion"] = [*commands.get("completion", ()), *SHELLS]
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
