"""Recognises in a program's output the lines that say which epoch runs.

Known are the lines of Keras, Lightning, PyTorch's examples, the Hugging Face Trainer, Ultralytics,
MMEngine, nnU-Net and fastai, and what is written like these. See docs/reference/track.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_OF_A_LINE = 4096
"""Characters of a line that are looked at: a line without an end takes no more memory."""
MOST_EPOCHS = 10_000_000
LATE = 0.02
"""A first line that tells a later fraction of its epoch than this is too late to be its start."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")
_BREAKS = re.compile(r"[\r\n]")
# A line may begin with what loggers write: times, names in brackets, levels.
_PREFIX = re.compile(
    r"\[[^\]\d][^\]]{0,60}\]|[^A-Za-z{\[]+|\[|(?:INFO|DEBUG|root|mm[a-z]+)\b|[TZ](?=[\d\s])"
)
_COUNT = r"(?P<epoch>\d+)(?:\s*(?:/|of)\s*(?P<epochs>\d+))?(?![\d/]|\.(?:\d|$))"
_NAMED = re.compile(
    r"(?:Train(?:ing)?\s+)?Epoch(?P<split>\((?:train|val)\))?\s*[:#=]?\s*\[?\s*" + _COUNT,
    re.IGNORECASE,
)
_TABLE = re.compile(r"^\s*(?P<epoch>\d+)/(?P<epochs>\d+)\s+\d+(?:\.\d+)?[GM]\s")
_LOGGED = re.compile(r"^\s*\{.*?['\"]epoch['\"]:\s*['\"]?(?P<done>\d+(?:\.\d+)?)['\"]?\s*[,}]")
# fastai's table: its header is written when a training begins, a row when an epoch is over.
_HEADER = re.compile(r"^epoch {2,}train_loss .*\btime\s*$")
_ROW = re.compile(
    r"^(?P<row>\d{1,8}) {2,}(?:-?\d+\.\d{6}|-?inf|nan|None).*\d\d:\d\d\s*$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a line says: an epoch's number as it stands there, and their number.

    ``base`` is what such lines usually count from. ``fraction`` is there where the line says how
    much is done: so much of the epoch that follows ``number`` whole ones. ``row`` says that it is
    of a table in which ``number`` epochs are over now: 0 is its header.
    """

    number: int
    total: int | None = None
    base: int = 1
    fraction: float | None = None
    row: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Another epoch than before: ``epoch`` from 0, of ``epochs`` in all if that is known.

    ``ends`` says whether the one before has ended now and was whole, ``begins`` whether this one
    begins now.
    """

    epoch: int
    epochs: int | None
    ends: bool
    begins: bool


class EpochLines:
    """Reads the output of one stream as it comes and says which epochs begin."""

    def __init__(self, pattern: re.Pattern[str] | None = None) -> None:
        self._pattern = pattern
        self._text = ""
        self._in_table = False

    def feed(self, text: str) -> Iterator[Told]:
        """What the lines in ``text`` say; the last one may have no end yet."""
        *lines, rest = _BREAKS.split(text)
        for line in lines:
            yield from self._read(self._text + line[:MOST_OF_A_LINE], ended=True)
            self._text = ""
        if rest:
            self._text += rest[: MOST_OF_A_LINE - len(self._text)]
            yield from self._read(self._text, ended=False)

    def _read(self, line: str, *, ended: bool) -> Iterator[Told]:
        if "\x1b" in line:
            line = _ESCAPES.sub("", line)
        row = self._row(line) if ended and self._pattern is None else None
        if row is not None:
            yield row
            return
        found = self._match(line)
        # In a line that goes on, a number at its end may be part of one.
        if found is None or (not ended and found.end() == len(line)):
            return
        said = _own(found) if self._pattern is not None else _known(found)
        if said is not None:
            yield said

    def _row(self, line: str) -> Told | None:
        """A header, or a row of its table; what looks like a row without one is something else."""
        if _HEADER.match(line):
            self._in_table = True
            return Told(0, base=0, row=True)
        found = _ROW.match(line) if self._in_table else None
        return Told(int(found["row"]) + 1, base=0, row=True) if found else None

    def _match(self, line: str) -> re.Match[str] | None:
        if self._pattern is not None:
            return self._pattern.search(line)
        return _named(line) or _TABLE.match(line) or _LOGGED.match(line)


class EpochCount:
    """Makes of what lines say the epochs of one training, counted from 0.

    Whether a program counts from 0 or 1 is learnt from its first number; of one that goes on from a
    checkpoint, from how it writes. ``declared`` is the number of epochs that the user said.
    """

    def __init__(self, declared: int | None = None) -> None:
        self._declared = declared
        self._base: int | None = None
        self._latest: int | None = None
        self._total = declared
        self._table_from: int | None = None

    def take(self, told: Told) -> Turn | None:
        """The turn that the line tells, if it does: the same or an earlier number is none.

        Where there is a table, its rows tell; of other lines, as of bars, only their total counts.
        """
        if told.row:
            return self._take_row(told)
        if self._table_from is not None:
            if self._declared is None and told.total is not None:
                self._total = self._table_from + told.total
            return None
        if self._base is None:
            self._base = _base(told)
        before, epoch = self._latest, told.number - self._base
        if epoch < 0 or (before is not None and epoch <= before):
            return None
        self._latest = epoch
        on_time = told.fraction is None or told.fraction <= LATE
        follows = before is not None and epoch == before + 1
        over = self._declared is not None and epoch >= self._declared
        self._learn_total(told, epoch)
        return Turn(epoch, self._total, follows and on_time, on_time and not over)

    def _take_row(self, told: Told) -> Turn | None:
        """With a table's header an epoch begins, with each row one ends and the next begins.

        The epochs of a second table, of a second training in one program, count on.
        """
        if self._table_from is None and self._latest is not None:
            return None  # the program tells its epochs by other lines
        if told.number == 0:
            self._table_from, self._total = self._latest or 0, self._declared
            self._latest = self._table_from
            over = self._declared is not None and self._latest >= self._declared
            return Turn(self._latest, self._total, ends=False, begins=not over)
        before, epoch = self._latest or 0, (self._table_from or 0) + told.number
        if epoch <= before:
            return None
        self._latest = epoch
        over = self._total is not None and epoch >= self._total
        return Turn(epoch, self._total, ends=epoch == before + 1, begins=not over)

    def _learn_total(self, told: Told, epoch: int) -> None:
        """Who counts from 0 writes the last number: of 10 epochs, 0/9 to 9/9."""
        if self._declared is None:
            total = self._total if told.total is None else told.total + 1 - (self._base or 0)
            self._total = total if total is not None and total > epoch else None


def _named(line: str) -> re.Match[str] | None:
    if "poch" not in line and "POCH" not in line:
        return None
    at = 0
    while prefix := _PREFIX.match(line, at):
        at = prefix.end()
    return _NAMED.match(line, at)


def _known(found: re.Match[str]) -> Told | None:
    said = found.groupdict()
    if said.get("done") is not None:
        done = float(said["done"])
        return Told(int(done), base=0, fraction=done % 1) if done <= MOST_EPOCHS else None
    counts_from_1 = said["epochs"] is not None or said.get("split") is not None
    return _told(said["epoch"], said["epochs"], 1 if counts_from_1 else 0)


def _own(found: re.Match[str]) -> Told | None:
    said = found.groupdict()
    return _told(said["epoch"], said.get("epochs"), 1)


def _told(number: str | None, total: str | None, base: int) -> Told | None:
    try:
        epoch, epochs = int(number or ""), None if total is None else int(total)
    except ValueError:
        return None
    if not 0 <= epoch <= MOST_EPOCHS or (epochs is not None and not 0 < epochs <= MOST_EPOCHS):
        return None
    return Told(epoch, epochs, base)


def _base(told: Told) -> int:
    """The first number where a training can begin with it; one that goes on begins elsewhere."""
    return told.number if told.fraction is None and told.number in (0, 1) else told.base
