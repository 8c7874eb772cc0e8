"""A batch script: its ``#CARBON`` lines, what its ``#SBATCH`` lines name, and its digest."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from carbonsched.errors import RequestError
from carbonsched.submit.options import Options, read_script_words
from carbonsched.submit.sbatch_words import CommandLine, read_command_line

_HEAD_BYTES = 1024 * 1024
_DIGITS = 16  # 64 bits: one user's scripts are thousands at most
_CARBON = "#CARBON"
_SBATCH = "#SBATCH"
_PBS = "#PBS"
_OPTIONS = (_CARBON, _SBATCH, _PBS)
_PARTS = (["hetjob"], ["packjob"])  # between the parts of a heterogeneous job


@dataclass(slots=True)
class ScriptHead:
    """What stands before the script's first command.

    ``unknown`` is an option of a ``#SBATCH`` line that csbatch does not know.
    """

    options: Options = field(default_factory=Options)
    sbatch_values: dict[str, str] = field(default_factory=dict)
    unknown: str | None = None
    heterogeneous: bool = False

    @property
    def sbatch_names(self) -> set[str]:
        """The options that its ``#SBATCH`` lines give."""
        return set(self.sbatch_values)


def find_script(line: CommandLine) -> Path | None:
    """The script's file, found where sbatch looks for it; ``None`` where there is none."""
    if line.script is None:
        return None
    folder = Path(line.chdir) if line.chdir else Path()
    here = folder / line.script
    if line.script.startswith((".", "/")) or here.exists():
        return here
    for entry in os.environ.get("PATH", "").split(":"):
        if (candidate := Path(entry) / line.script).is_file():
            return candidate
    return None


def read_head(path: Path) -> bytes:
    """The first megabyte of the script, and a byte more where there is more.

    Empty where sbatch is to complain about the script instead.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a named pipe would take it from sbatch
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES + 1)
    except OSError:
        return b""


def scan(content: bytes, shown: str) -> ScriptHead:
    """Read the lines before the first command, as sbatch does.

    Raises:
        RequestError: a ``#CARBON`` line is wrong; the message has ``shown`` and the line's number.
    """
    head = ScriptHead()
    text = content[:_HEAD_BYTES].decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        if _is_command(line):
            break
        if line.startswith(_SBATCH):
            _read_sbatch(head, split_words(line.removeprefix(_SBATCH)))
        elif line.startswith(_PBS) and split_words(line.removeprefix(_PBS))[:1] == ["-a"]:
            head.sbatch_values["begin"] = ""
        elif line.startswith(_CARBON):
            _read_carbon(head, line.removeprefix(_CARBON), f"{shown}:{number}")
    return head


def digest(content: bytes) -> str | None:
    """What tells this script from others; ``None`` for none, and for one of over a megabyte.

    The lines before the first command that give options do not count: who asks for more time, or
    for another name, runs the same script.
    """
    if not content or len(content) > _HEAD_BYTES:
        return None
    import hashlib  # noqa: PLC0415 - loads OpenSSL: milliseconds, only for a script

    lines = iter(content.decode("utf-8", "surrogateescape").split("\n"))
    kept = []
    for line in lines:
        if _is_command(line):
            kept += [line, *lines]
        elif not line.startswith(_OPTIONS):
            kept.append(line)
    program = "\n".join(kept).encode("utf-8", "surrogateescape")
    return hashlib.sha256(program).hexdigest()[:_DIGITS]


def split_words(text: str) -> list[str]:
    """Words as sbatch splits a ``#SBATCH`` line: quotes, backslashes, ``#`` begins a comment."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            word = (word or "") + next(letters, "")
        elif quote:
            word, quote = (word or "", "") if letter == quote else ((word or "") + letter, quote)
        elif letter in "\"'":
            word, quote = word or "", letter
        elif letter == "#":
            break
        elif letter.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + letter
    return words if word is None else [*words, word]


def _read_sbatch(head: ScriptHead, words: list[str]) -> None:
    if words[:1] in _PARTS:
        head.heterogeneous = True
        return
    line = read_command_line(words)
    head.sbatch_values |= line.values
    head.unknown = head.unknown or line.unknown


def _read_carbon(head: ScriptHead, text: str, where: str) -> None:
    if text and not text[0].isspace():
        return  # another word that begins alike, such as #CARBONATE
    try:
        head.options = read_script_words(split_words(text)).over(head.options)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


def _is_command(line: str) -> bool:
    bare = line.lstrip()
    return bool(bare) and not bare.startswith("#")
