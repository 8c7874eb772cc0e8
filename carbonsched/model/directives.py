"""What a job's owner asks of carbonsched, and the mark that carries it in Slurm's comment.

The comment is the user's text: it may decide when a job starts, never what is charged. Whatever
does not parse exactly as a mark is somebody else's comment, and is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = "carbonsched/1"
MAX_COMMENT = 1024  # Slurm's own limit at submission
CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SCRIPT_DIGEST = re.compile(r"[0-9a-f]{16}")
_MAX_S = 366 * 86_400
_MAX_EPOCHS = 10_000_000
_MAX_MG = 10**12 - 1  # a mark's numbers have twelve digits
_MAX_AT = 10**12
_NUMBER = re.compile(r"[0-9]{1,12}")
_WORDS = frozenset(
    {
        *("delay", "deadline", "epochs", "checkpoint", "now"),
        *("pilot", "budget", "campaign", "lease", "validate", "script"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """The owner's bounds and hints for one job.

    ``max_delay_s`` is how long the start may be delayed beyond submission, ``None`` the site's
    default; ``deadline_at`` by when the job must have ended; ``start_now`` forbids any delay.
    ``validate_every`` is after how many epochs each time one does more, such as validation.
    A ``pilot`` starts at once for its first epoch and is planned then. ``budget_mg`` is what the
    job may emit in all its runs together.
    ``lease_s`` is the begin time that csbatch added, in seconds from submission; ``None`` where it
    added none: then the begin time that the job has is its owner's.
    ``script_digest`` tells the job's batch script from others, so that its earlier runs are found.
    """

    max_delay_s: int | None = None
    deadline_at: int | None = None
    epochs: int | None = None
    validate_every: int | None = None
    checkpoint: bool = False
    start_now: bool = False
    pilot: bool = False
    budget_mg: int | None = None
    campaign: str | None = None
    lease_s: int | None = None
    script_digest: str | None = None

    def __post_init__(self) -> None:
        _require_kinds(self)
        if self.max_delay_s is not None and not 0 <= self.max_delay_s <= _MAX_S:
            raise ValueError("the maximum delay must be between 0 and 366 days")
        if self.epochs is not None and not 1 <= self.epochs <= _MAX_EPOCHS:
            raise ValueError(f"epochs must be between 1 and {_MAX_EPOCHS}")
        if self.validate_every is not None and not 1 <= self.validate_every <= _MAX_EPOCHS:
            raise ValueError(f"validate-every must be between 1 and {_MAX_EPOCHS} epochs")
        if self.pilot and self.start_now:
            raise ValueError("a pilot may wait after its first epoch, so it cannot be start_now")
        if self.budget_mg is not None and not 1 <= self.budget_mg <= _MAX_MG:
            raise ValueError("a budget is between 1 mg and 1000 t")
        if self.campaign is not None and not CAMPAIGN.fullmatch(self.campaign):
            raise ValueError(
                "a campaign is 1 to 64 letters, digits, dots, dashes or underscores,"
                " beginning with a letter or digit"
            )
        if self.lease_s is not None and not 0 < self.lease_s <= _MAX_S:
            raise ValueError("the lease must be between a second and 366 days")
        if self.deadline_at is not None and not 0 <= self.deadline_at < _MAX_AT:
            raise ValueError("the deadline lies before 1970 or tens of thousands of years ahead")
        if self.script_digest is not None and not SCRIPT_DIGEST.fullmatch(self.script_digest):
            raise ValueError("a script's digest is 16 hexadecimal digits in small letters")


def encode_mark(directives: Directives) -> str:
    """The comment that carries the directives, such as ``carbonsched/1 delay=21600 epochs=10``."""
    words = [MARK]
    for name, value in (
        ("delay", directives.max_delay_s),
        ("deadline", directives.deadline_at),
        ("epochs", directives.epochs),
        ("validate", directives.validate_every),
        ("checkpoint", 1 if directives.checkpoint else None),
        ("now", 1 if directives.start_now else None),
        ("pilot", 1 if directives.pilot else None),
        ("budget", directives.budget_mg),
        ("campaign", directives.campaign),
        ("lease", directives.lease_s),
        ("script", directives.script_digest),
    ):
        if value is not None:
            words.append(f"{name}={value}")
    return " ".join(words)


def decode_mark(comment: str) -> Directives | None:
    """The directives in a comment, or ``None`` where it is not exactly one of our marks."""
    if len(comment) > MAX_COMMENT:
        return None
    words = comment.split(" ")
    if words[0] != MARK:
        return None
    fields: dict[str, str] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or name in fields:
            return None
        fields[name] = value
    try:
        return _directives(fields)
    except ValueError:
        return None


def _require_kinds(directives: Directives) -> None:
    """They may come from anybody's JSON, where a number may be text, a fraction or not one."""
    numbers = "max_delay_s", "deadline_at", "epochs", "validate_every", "budget_mg", "lease_s"
    for name in numbers:
        value = getattr(directives, name)
        if value is not None and type(value) is not int:
            raise ValueError(f"{name} is not a whole number")
    for name in ("checkpoint", "start_now", "pilot"):
        if type(getattr(directives, name)) is not bool:
            raise ValueError(f"{name} is neither true nor false")
    for name in ("campaign", "script_digest"):
        if not isinstance(getattr(directives, name), str | None):
            raise ValueError(f"{name} is not a string")


def _directives(fields: dict[str, str]) -> Directives:
    if not fields.keys() <= _WORDS:
        raise ValueError("unknown word in the mark")
    return Directives(
        max_delay_s=_number(fields, "delay"),
        deadline_at=_number(fields, "deadline"),
        epochs=_number(fields, "epochs"),
        validate_every=_number(fields, "validate"),
        checkpoint=_flag(fields, "checkpoint"),
        start_now=_flag(fields, "now"),
        pilot=_flag(fields, "pilot"),
        budget_mg=_number(fields, "budget"),
        campaign=fields.get("campaign"),
        lease_s=_number(fields, "lease"),
        script_digest=fields.get("script"),
    )


def _number(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} is not a number")
    return int(text)


def _flag(fields: dict[str, str], name: str) -> bool:
    if fields.get(name, "1") != "1":
        raise ValueError(f"{name} is not 1")
    return name in fields
