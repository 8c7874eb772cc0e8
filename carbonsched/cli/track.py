"""``carbonsched track``: run a training unchanged and mark the epochs that its output tells."""

from __future__ import annotations

import argparse
import re
import sys

from carbonsched.epochs.track import CommandError, die_by, track
from carbonsched.errors import RequestError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.usage = "carbonsched track [--epochs N] [--pattern REGEX] -- COMMAND [ARGUMENT...]"
    parser.epilog = (
        "examples:\n"
        "  carbonsched track -- python train.py\n"
        "  carbonsched track --epochs 90 -- python train.py --lr 0.1\n"
        "  carbonsched track --epochs 20 --pattern 'round (?P<epoch>\\d+)' -- ./train\n\n"
        "The output passes through as it comes. Known are the epoch lines of Keras, Lightning,\n"
        "PyTorch's examples, the Hugging Face Trainer, Ultralytics, MMEngine, nnU-Net and what\n"
        "is written like these. The exit status is the command's; 127 if there is none."
    )
    parser.add_argument("--epochs", metavar="N", help="how many epochs the training runs in all")
    parser.add_argument(
        "--pattern",
        metavar="REGEX",
        help="finds an epoch in a line: a group (?P<epoch>...), maybe one (?P<epochs>...)",
    )
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; its own exit status, or death by the signal that it died of.

    Raises:
        RequestError: no command, or an option that makes no sense.
    """
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise RequestError("no command; write it after --, as in 'carbonsched track -- ./train'")
    try:
        status = track(command, epochs=_epochs(options.epochs), pattern=_pattern(options.pattern))
    except CommandError as error:
        print(f"carbonsched track: {error}", file=sys.stderr)
        return error.status
    return status if status >= 0 else die_by(-status)


def _epochs(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise RequestError(f"--epochs {text!r} is not a whole number from 1 upwards")
    return int(text)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise RequestError(f"--pattern {text!r} is no regular expression: {error}") from None
    if "epoch" not in pattern.groupindex:
        raise RequestError(f"--pattern {text!r} has no group (?P<epoch>...) for the number")
    return pattern
