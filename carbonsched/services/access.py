"""Who may see and do what."""

from __future__ import annotations

import pwd

from carbonsched.errors import ForbiddenError
from carbonsched.transport.munge import Caller


class Access:
    """Names callers by the system's user database and knows the site's operators."""

    def __init__(self, operators: tuple[str, ...]) -> None:
        self._operators = frozenset(operators)

    def name(self, caller: Caller) -> str:
        """The caller's user name.

        Raises:
            ForbiddenError: this host knows no user of that number.
        """
        try:
            return pwd.getpwuid(caller.uid).pw_name
        except KeyError:
            raise ForbiddenError(f"no user here has uid {caller.uid}") from None

    def operator(self, caller: Caller) -> bool:
        """Whether the caller may see everybody's figures and grant budgets."""
        return caller.uid == 0 or self.name(caller) in self._operators

    def require_operator(self, caller: Caller) -> None:
        """Refuse all but operators."""
        if not self.operator(caller):
            raise ForbiddenError("only an operator of carbonsched may do this")

    def user(self, caller: Caller, asked: str | None, *, everybody: bool = False) -> str | None:
        """Whose figures to show: the asked user's, the caller's own, ``None`` for everybody's.

        Raises:
            ForbiddenError: another's figures, and the caller is no operator.
        """
        own = self.name(caller)
        if everybody:
            self.require_operator(caller)
            return asked
        if asked is not None and asked != own and not self.operator(caller):
            raise ForbiddenError(f"you may see your own jobs, not those of {asked}")
        return asked or own
