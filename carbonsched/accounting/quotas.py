"""Who may start a job within this month's carbon budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from carbonsched.model.quota import Balance, Subject
from carbonsched.units import format_mass

EVERY_OTHER_USER = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Monthly milligrams by name; ``default_user_mg`` is for users without a line of their own."""

    users: Mapping[str, int] = field(default_factory=dict)
    accounts: Mapping[str, int] = field(default_factory=dict)
    default_user_mg: int | None = None

    @classmethod
    def of(cls, lines: Iterable[tuple[str | None, str | None, int]]) -> Budgets:
        """From the configuration's ``(user, account, monthly_mg)``, one of the names ``None``."""
        users: dict[str, int] = {}
        accounts: dict[str, int] = {}
        for user, account, monthly_mg in lines:
            if (user is None) == (account is None):
                raise ValueError("a budget is for one user or one account")
            if user is not None:
                users[user] = monthly_mg
            elif account is not None:
                accounts[account] = monthly_mg
        default_mg = users.pop(EVERY_OTHER_USER, None)
        return cls(users=users, accounts=accounts, default_user_mg=default_mg)

    def budget_mg(self, subject: Subject) -> int | None:
        """The subject's monthly budget, ``None`` where it has no limit."""
        if subject.kind == "account":
            return self.accounts.get(subject.name)
        return self.users.get(subject.name, self.default_user_mg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a job may start in this period; if not, until when it is held. ``text`` says why."""

    admitted: bool
    held_until_at: int | None
    text: str


def subjects_of(user: str, account: str) -> tuple[Subject, ...]:
    """Whose budgets a job counts against: its user's, and its account's if it has one."""
    user_subject = Subject(kind="user", name=user)
    return (user_subject, Subject(kind="account", name=account)) if account else (user_subject,)


def admit(balances: Sequence[Balance], predicted_mg: int | None) -> Admission:
    """Whether every one of the job's subjects has room for it.

    ``balances`` are those of the current period, without the job's own reservation; a subject
    without a limit has none. Without a prediction, anything left is room. A job that is larger
    than a whole month's budget stays held until somebody grants more: a budget that one large job
    could ignore would not be one.
    """
    short = sorted(
        (balance for balance in balances if not _room(balance, predicted_mg)),
        key=lambda balance: (balance.period.end_at, balance.subject),
        reverse=True,
    )
    if not short:
        return Admission(admitted=True, held_until_at=None, text="within budget")
    return Admission(
        admitted=False,
        held_until_at=short[0].period.end_at,
        text="; ".join(_why(balance, predicted_mg) for balance in short),
    )


def _room(balance: Balance, predicted_mg: int | None) -> bool:
    return balance.remaining_mg > 0 and balance.remaining_mg >= (predicted_mg or 0)


def _why(balance: Balance, predicted_mg: int | None) -> str:
    whole_mg = balance.budget_mg + balance.granted_mg
    month = balance.period.name
    if predicted_mg is not None and predicted_mg > whole_mg:
        return (
            f"the job needs about {format_mass(predicted_mg)}, more than the whole budget of"
            f" {format_mass(whole_mg)} of {balance.subject} in {month}: ask for a grant"
        )
    if balance.remaining_mg <= 0:
        return (
            f"the carbon budget of {balance.subject} for {month} is used up"
            f" ({format_mass(whole_mg)}): held until the next month"
        )
    return (
        f"the job needs about {format_mass(predicted_mg)} and {balance.subject} has"
        f" {format_mass(balance.remaining_mg)} left in {month}: held until the next month"
    )
