"""``carbonsched quota``: budgets, and grants on top of them."""

from __future__ import annotations

import argparse
import re
import sys
import time
from decimal import Decimal

from carbonsched.cli.common import Daemon, connect, note, show, show_json
from carbonsched.errors import RequestError
from carbonsched.reports.balances import balance_lines, grant_lines
from carbonsched.reports.documents import QuotaDocument, read_granted, read_quota
from carbonsched.reports.terminal import Screen

_MASS = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(mg|g|kg|t)")
_MG = {"mg": 1, "g": 10**3, "kg": 10**6, "t": 10**9}
_SUBJECT = re.compile(r"(?:user|account):\S+")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_EXAMPLES = """examples:
  carbonsched quota show
  carbonsched quota show -u alice
  carbonsched quota grant user:alice 5kg --reason "revision of the paper"
  carbonsched quota grant account:physics "1.5 t" --month 2026-12 --reason "new project"
  carbonsched quota grant user:alice 5kg --take-back --reason "granted twice"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands and their options."""
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="quota_command", metavar="show|grant", required=True)
    show_parser = commands.add_parser("show", help="budgets, what is used, what is left")
    whose = show_parser.add_mutually_exclusive_group()
    whose.add_argument("-u", "--user", help="only this user's")
    whose.add_argument("-A", "--account", help="only this account's")
    show_parser.add_argument("--json", action="store_true", help="the daemon's answer as JSON")
    show_parser.set_defaults(run=lambda options: show_quota(options, connect()))
    grant_parser = commands.add_parser("grant", help="add to a month's budget (operators)")
    grant_parser.add_argument("subject", metavar="SUBJECT", help="user:NAME or account:NAME")
    grant_parser.add_argument("mass", metavar="MASS", help="such as 500g, 5kg or '1.5 t'")
    grant_parser.add_argument("--month", metavar="YYYY-MM", help="default: the current month")
    grant_parser.add_argument("--reason", metavar="TEXT", required=True, help="for the record")
    grant_parser.add_argument("--take-back", action="store_true", help="subtract instead")
    grant_parser.set_defaults(run=lambda options: grant_quota(options, connect()))


def show_quota(options: argparse.Namespace, daemon: Daemon) -> int:
    """Print the balances that the caller may see, and the grants behind them."""
    document = _only(read_quota(daemon.get("/v1/quota")), _asked(options))
    if options.json:
        show_json(document)
        return 0
    screen = Screen.of(sys.stdout)
    if document["balances"]:
        show(balance_lines(document["balances"], screen))
    else:
        note("No carbon budget applies.")
    if document["grants"]:
        show(["", *grant_lines(document["grants"], int(time.time()), screen)])
    return 0


def _asked(options: argparse.Namespace) -> str | None:
    if options.user is not None:
        return f"user:{options.user}"
    return f"account:{options.account}" if options.account is not None else None


def _only(document: QuotaDocument, subject: str | None) -> QuotaDocument:
    if subject is None:
        return document
    balances = [one for one in document["balances"] if one["subject"] == subject]
    if not balances:
        raise RequestError(f"{subject} has no carbon budget, or you may not see it")
    grants = [one for one in document["grants"] if one["subject"] == subject]
    return {"balances": balances, "grants": grants}


def grant_quota(options: argparse.Namespace, daemon: Daemon) -> int:
    """Post one grant and print the new balance."""
    if not _SUBJECT.fullmatch(options.subject):
        raise RequestError(f"{options.subject!r} is no subject; write user:NAME or account:NAME")
    if options.month is not None and not _MONTH.fullmatch(options.month):
        raise RequestError(f"{options.month!r} is not a month; write YYYY-MM")
    if not options.reason.strip():
        raise RequestError("a grant needs a reason, for the record")
    mg = parse_mass(options.mass)
    document = {
        "subject": options.subject,
        "month": options.month,
        "mg": -mg if options.take_back else mg,
        "reason": options.reason,
    }
    balance = read_granted(daemon.post("/v1/quota/grants", document))["balance"]
    show(balance_lines([balance], Screen.of(sys.stdout)))
    return 0


def parse_mass(text: str) -> int:
    """Milligrams of ``5kg``, ``1.5 t``, ``500 g``, ``20 mg``: more than nothing, and whole.

    Raises:
        RequestError: anything else.
    """
    match = _MASS.fullmatch(text.strip())
    exact = Decimal(match[1]) * _MG[match[2]] if match else Decimal(0)
    if exact <= 0 or exact != int(exact):
        raise RequestError(f"{text!r} is not a mass; write 500g, 5kg or 1.5t, above zero")
    return int(exact)
