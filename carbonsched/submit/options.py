"""csbatch's own options, on the command line and in a script's ``#CARBON`` lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.submit.masses import parse_mass_mg
from carbonsched.submit.times import parse_instant_at, parse_length_s

PREFIX = "--carbon-"
ANY = "any"
_VALUED = frozenset(
    {
        *("max-delay", "deadline", "epochs", "validate-every", "budget", "campaign"),
        *("clusters", "partitions"),
    }
)
_FLAGS = frozenset({"checkpoint", "now", "pilot"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACES = ("clusters", "partitions")  # of which one kind at most is chosen among
_COMMAND_LINE_ONLY = frozenset({"explain", "help"})


@dataclass(frozen=True, slots=True)
class Places:
    """What to choose among: clusters, of which none stands for all that the site has; partitions.

    ``noun`` is the kind of them.
    """

    noun: str
    names: tuple[str, ...]

    @property
    def option(self) -> str:
        """The option of sbatch that binds a job to one."""
        return "partition" if self.noun == "partition" else "clusters"


@dataclass(slots=True)
class Options:
    """Options in the order of their names; ``values`` of a flag are empty strings."""

    values: dict[str, str] = field(default_factory=dict)

    @property
    def explain(self) -> bool:
        """Whether the reasoning is to be printed at length."""
        return "explain" in self.values

    @property
    def help(self) -> bool:
        """Whether csbatch's own help is asked for."""
        return "help" in self.values

    def over(self, weaker: Options) -> Options:
        """These options, with another's where these say nothing.

        ``now`` rules out a delay and a pilot, and one kind of places the other.
        """
        merged = weaker.values | self.values
        for other in ("max-delay", "pilot"):
            if "now" in self.values and other not in self.values:
                merged.pop(other, None)
            if other in self.values and "now" not in self.values:
                merged.pop("now", None)
        if len(kinds := [one for one in _PLACES if one in self.values]) == 1:
            merged = {k: v for k, v in merged.items() if k not in _PLACES or k in kinds}
        return Options(merged)


def split_leading(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The leading options that are ours, and every word after them unchanged.

    Raises:
        RequestError: an option of ours is unknown or lacks its value.
    """
    options = Options()
    rest = list(words)
    while rest and rest[0].startswith(PREFIX):
        _take(options, rest, PREFIX, _VALUED, _FLAGS | _COMMAND_LINE_ONLY)
    return options, rest


def read_script_words(words: Sequence[str]) -> Options:
    """The options of one ``#CARBON`` line, which are written without ``carbon-``.

    Raises:
        RequestError: something else than our options stands there.
    """
    options = Options()
    rest = list(words)
    while rest:
        if not rest[0].startswith("--"):
            raise RequestError(f"{rest[0]!r} is not an option; write #CARBON --max-delay=6h")
        _take(options, rest, "--", _VALUED, _FLAGS)
    return options


def to_directives(options: Options, now: int) -> Directives:
    """What the owner asks, with times reckoned from ``now``.

    Raises:
        RequestError: a value cannot be; the line names the option.
    """
    values = options.values
    if "now" in values and "max-delay" in values:
        raise RequestError("--carbon-now and --carbon-max-delay contradict each other; give one")
    if "now" in values and "pilot" in values:
        raise RequestError("--carbon-now and --carbon-pilot contradict each other; give one")
    try:
        return Directives(
            max_delay_s=_checked("max-delay", values, parse_length_s),
            deadline_at=_checked("deadline", values, lambda text: _future(text, now)),
            epochs=_checked("epochs", values, _whole),
            validate_every=_checked("validate-every", values, _whole),
            checkpoint="checkpoint" in values,
            start_now="now" in values,
            pilot="pilot" in values,
            budget_mg=_checked("budget", values, parse_mass_mg),
            campaign=values.get("campaign"),
        )
    except ValueError as error:
        raise RequestError(str(error)) from None


def to_places(options: Options) -> Places | None:
    """What to choose among, ``None`` where nothing is to be chosen.

    Raises:
        RequestError: a value names none, or both kinds are asked for.
    """
    kinds = [one for one in _PLACES if one in options.values]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise RequestError(
            "--carbon-clusters and --carbon-partitions cannot go together: partitions are of one"
            " cluster; give one of them"
        )
    (kind,) = kinds
    text = options.values[kind]
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == (ANY,) and kind == "clusters":
        return Places("cluster", ())
    if ANY in names or not all(_NAME.fullmatch(name) for name in names):
        some = (
            "lab,north for some, any for all" if kind == "clusters" else "two or more, as old,new"
        )
        raise RequestError(f"--carbon-{kind}: {text!r} names no {kind}; write {some}")
    return Places(kind.removesuffix("s"), names)


def _take(
    options: Options, rest: list[str], prefix: str, valued: frozenset[str], flags: frozenset[str]
) -> None:
    word = rest.pop(0)
    name, equals, value = word.removeprefix(prefix).partition("=")
    shown = f"{prefix}{name}"
    if name in flags:
        if equals:
            raise RequestError(f"{shown} takes no value")
        options.values[name] = ""
    elif name in valued:
        if not equals:
            if not rest:
                raise RequestError(f"{shown} needs a value, such as {shown}={_example(name)}")
            value = rest.pop(0)
        options.values[name] = value
    else:
        raise RequestError(_unknown(name, prefix, valued | flags))


def _unknown(name: str, prefix: str, known: frozenset[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    begins = [one for one in sorted(known) if name and one.startswith(name)]
    near = begins or get_close_matches(name, sorted(known), n=1)
    remedy = f"did you mean {prefix}{near[0]}?" if near else "see csbatch --carbon-help"
    return f"unknown option {prefix}{name}; {remedy}"


def _example(name: str) -> str:
    examples = {
        "max-delay": "6h", "deadline": "07:30", "epochs": "90", "budget": "100g",
        "clusters": "any", "partitions": "old,new", "validate-every": "5",
    }  # fmt: skip
    return examples.get(name, "thesis")


def _checked(name: str, values: dict[str, str], read: Callable[[str], int]) -> int | None:
    if name not in values:
        return None
    try:
        return read(values[name])
    except ValueError as error:
        raise ValueError(f"--carbon-{name}: {error}") from None


def _future(text: str, now: int) -> int:
    at = parse_instant_at(text, now)
    if at <= now:
        raise ValueError(f"{text!r} lies in the past")
    return at


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)
