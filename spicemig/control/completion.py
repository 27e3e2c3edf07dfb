# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Prints a bash completion for ``spicemig``, made from its parser.

    python -m spicemig.control.completion > completions/spicemig
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from spicemig.control.cli import make_parser

FILES = ("FILE", "PATH", "DIR", "TRACE", "IN", "OUT")  # how the names of arguments that are paths begin

SCRIPT = """\
# bash completion for spicemig(1)

_spicemig()
{{
    local cur prev words cword command word
    _init_completion || return
    for word in "${{words[@]:1:cword-1}}"; do
        case $word in
            {commands}) command=$word; break ;;
        esac
    done
    case $command:$prev in
{values}
    esac
    case $command in
{choices}
    esac
}}
complete -F _spicemig spicemig
"""


def script() -> str:
    """The whole completion."""
    parser = make_parser()
    commands = _commands(parser)
    known = {"": parser, **commands}
    choices = [f"        '') {_one_of([*_options(parser), *commands])} ;;"]
    for name, command in commands.items():
        files = "; _filedir" if any(_is_path(each) for each in _positionals(command)) else ""
        choices.append(f"        {name}) {_one_of([*_options(command), *_choices(command)])}{files} ;;")
    return SCRIPT.format(
        commands="|".join(commands),
        values="\n".join(line for name, each in known.items() for line in _values(name, each)),
        choices="\n".join(choices),
    )


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _values(command: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """What may follow an option that takes a value."""
    for action in parser._actions:
        if not action.option_strings or action.nargs == 0:
            continue
        pattern = "|".join(f"{command}:{option}" for option in action.option_strings)
        if action.choices:
            what = _one_of(action.choices) + "; "
        else:
            what = "_filedir; " if _is_path(action) else ""
        yield f"        {pattern}) {what}return ;;"


def _positionals(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    return [str(choice) for action in _positionals(parser) for choice in action.choices or ()]


def _is_path(action: argparse.Action) -> bool:
    return str(action.metavar or "").startswith(FILES)


def _one_of(words: Iterable[object]) -> str:
    return f"""COMPREPLY=($(compgen -W '{" ".join(map(str, words))}' -- "$cur"))"""


if __name__ == "__main__":
    print(script(), end="")
