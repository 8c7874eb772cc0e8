"""Reading sbatch's words just far enough: which one is the script, and a few facts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from carbonsched.submit.options import PREFIX
from carbonsched.submit.sbatch_table import SHORT, Arity, resolve_long

_NOTHING_SUBMITTED = frozenset({"help", "usage", "version", "test-only"})


@dataclass(slots=True)
class CommandLine:
    """What csbatch needs to know of the words meant for sbatch.

    ``script`` is the word that names the script, ``None`` for ``--wrap`` and standard input.
    ``unknown`` is an option that is in no table, behind which the script cannot be told.
    ``values`` are the options by their long names, the last where one is given twice.
    """

    script: str | None = None
    unknown: str | None = None
    misplaced: str | None = None
    heterogeneous: bool = False
    values: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The options that are given."""
        return set(self.values)

    @property
    def chdir(self) -> str | None:
        """Where sbatch looks for the script, if not here."""
        return self.values.get("chdir")

    @property
    def submits(self) -> bool:
        """False for ``--help``, ``--version``, ``--usage`` and ``--test-only``."""
        return self.names.isdisjoint(_NOTHING_SUBMITTED)

    @property
    def waits(self) -> bool:
        """Whether sbatch blocks until the job has ended."""
        return "wait" in self.names

    @property
    def reads_stdin(self) -> bool:
        """Whether sbatch takes the script from standard input."""
        return self.unknown is None and self.script is None and "wrap" not in self.names


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Walk the words as getopt does: up to the script, across ``:`` of heterogeneous jobs."""
    line = CommandLine()
    waiting = list(words)
    while waiting and line.unknown is None:
        word = waiting.pop(0)
        if word == ":":
            line.heterogeneous = True
            continue
        if word == "--":
            line.script = waiting[0] if waiting else None
            break
        if word == "-" or not word.startswith("-"):
            line.script = word
            break
        if word.startswith(PREFIX):
            line.misplaced = line.misplaced or word
        elif word.startswith("--"):
            _long(line, word.removeprefix("--"), waiting)
        else:
            _short(line, word[1:], waiting)
    return line


def _long(line: CommandLine, written: str, waiting: list[str]) -> None:
    name, equals, value = written.partition("=")
    known, arity = resolve_long(name)
    if not equals:
        if arity is None:
            line.unknown = f"--{name}"
        elif arity is Arity.VALUE and waiting:
            value = waiting.pop(0)
    if known is not None:
        line.values[known] = value


def _short(line: CommandLine, letters: str, waiting: list[str]) -> None:
    for position, letter in enumerate(letters, start=1):
        if letter not in SHORT:
            line.unknown = f"-{letter}"
            return
        name, arity = SHORT[letter]
        if arity is Arity.NONE:
            line.values[name] = ""
            continue
        value = letters[position:]
        if arity is Arity.VALUE and not value and waiting:
            value = waiting.pop(0)
        line.values[name] = value
        return
