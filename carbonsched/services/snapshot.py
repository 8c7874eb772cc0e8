"""The snapshot of budgets that the submit plug-in reads inside slurmctld."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from carbonsched.errors import ExternalError
from carbonsched.model.quota import Balance
from carbonsched.services.grid import Grid
from carbonsched.services.managed import Clusters
from carbonsched.services.quotas import Quotas
from carbonsched.units import emissions_mg, to_mg


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """Where the submit plug-in's snapshot goes, and how long one may be used."""

    path: Path
    valid_s: int


class PublishSnapshot:
    """Writes what the submit plug-in reads: remaining budgets, and a rate to keep a tally with."""

    def __init__(
        self,
        quotas: Quotas,
        clusters: Clusters,
        grid: Grid,
        now: Callable[[], int],
        file: SnapshotFile,
    ) -> None:
        self._quotas = quotas
        self._clusters = clusters
        self._grid = grid
        self._now = now
        self._file = file

    def run(self) -> str:
        """Write the snapshot atomically; a reader sees the old or the new one, never half.

        Raises:
            ExternalError: the file cannot be written.
        """
        now = self._now()
        balances = self._quotas.limited(now)
        valid_until_at, ends_at = now + self._file.valid_s, self._quotas.period_end(now)
        rate = self._mg_per_cpu_hour(now)
        lines = [f"carbonsched-quota 1 {now} {valid_until_at} {ends_at} {rate}"]
        lines += [_line(balance) for balance in balances]
        self._replace("\n".join([*lines, "end", ""]))
        return f"{len(balances)} budgets published"

    def _replace(self, text: str) -> None:
        temporary = self._file.path.with_suffix(".new")
        try:
            temporary.write_text(text, encoding="ascii")
            temporary.chmod(0o644)
            temporary.replace(self._file.path)
        except OSError as error:
            raise ExternalError(
                f"quota file {self._file.path}: {error.strerror}; until it can be written the"
                " submit plug-in lets everything through"
            ) from None

    def _mg_per_cpu_hour(self, now: int) -> int:
        """What an hour of one busy CPU emits now, on the site's hungriest nodes.

        It only serves to count submissions between two snapshots; the ledger never sees it.
        """
        rates = [0]
        for managed in self._clusters:
            ahead = self._grid.expected(managed.zone, now, now + 3600, now)
            if ahead is None:
                continue
            for one in managed.node_classes:
                joules = round(one.max_w * 3600 / one.cpus)
                exact = emissions_mg(joules, managed.pue_ppm, 1) * ahead.mean_mg_per_kwh
                rates.append(to_mg(exact))
        return max(rates)


def _line(balance: Balance) -> str:
    subject = balance.subject
    number = "-"
    if subject.kind == "user":
        try:
            number = str(pwd.getpwnam(subject.name).pw_uid)
        except (KeyError, ValueError):  # the latter for a name that no system can have
            number = "-"  # the plug-in then goes by name alone
    name = quote(subject.name, safe="._-").replace("~", "%7E")
    return f"{subject.kind} {name} {number} {balance.remaining_mg}"
