"""``carbonsched predict --epoch-log FILE``: the model of running jobs on a recorded log."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from carbonsched.cli.common import show, show_json
from carbonsched.errors import RequestError
from carbonsched.prediction.course import METHOD, VERSION, Epoch, Foreseen, foresee
from carbonsched.prediction.epoch_log import read_log
from carbonsched.prediction.outlook import Estimate
from carbonsched.reports.terminal import clean
from carbonsched.units import format_duration, format_energy

MOST_EPOCHS = 1_000_000
_LARGEST_BYTES = 100_000_000


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """The log, how much of it may be seen, and what a job would have declared."""
    log = parser.add_argument_group("a recorded log instead of a job")
    log.add_argument("--epoch-log", metavar="FILE", help="CSV: epoch,duration_s,energy_j or parts")
    log.add_argument("--after", metavar="K", type=int, help="see only the first K epochs")
    log.add_argument("--epochs", metavar="N", type=int, help="epochs that were to be trained")
    log.add_argument(
        "--validate-every", metavar="M", type=int, help="validation after every M-th epoch"
    )
    log.add_argument(
        "--history", metavar="FILE", nargs="+", action="extend", default=[],
        help="logs of earlier trainings like this one, whole",
    )  # fmt: skip


def run_log(options: argparse.Namespace) -> int:
    """Predict the whole of ``options.epoch_log`` from its first epochs, and print it.

    Raises:
        RequestError: a file cannot be read or is no log, or the numbers do not fit it.
    """
    after, total = _numbers(options)
    epochs = _read(options.epoch_log, after)
    if len(epochs) < after:
        raise RequestError(
            f"{options.epoch_log} has {len(epochs)} epochs; --after {after} is more than that"
        )
    earlier = [_read(name, None) for name in options.history]
    found = foresee(epochs, total, validate_every=options.validate_every, earlier=earlier)
    if options.json:
        show_json(_document(found, after, total))
    else:
        show(_lines(found, options))
    return 0


def _numbers(options: argparse.Namespace) -> tuple[int, int]:
    after, total = options.after, options.epochs
    if after is None or total is None:
        raise RequestError("--epoch-log needs --after K and --epochs N")
    if after < 1:
        raise RequestError(f"--after {after}: at least one epoch has to be seen")
    if not after <= total <= MOST_EPOCHS:
        raise RequestError(
            f"--epochs {total}: write a number from --after, {after}, to {MOST_EPOCHS}"
        )
    if options.validate_every is not None and options.validate_every < 1:
        raise RequestError(f"--validate-every {options.validate_every}: write 1 or more")
    return after, total


def _read(name: str, most: int | None) -> list[Epoch]:
    path = Path(name)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST_BYTES:
                raise RequestError(
                    f"{name}: larger than {_LARGEST_BYTES // 10**6} MB, no epoch log"
                )
            return read_log(file, most)
    except OSError as error:
        raise RequestError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:
        raise RequestError(f"{name}: {error}") from None


def _document(found: Foreseen, after: int, total: int) -> dict[str, float | int | str]:
    joules, seconds = found.joules, found.seconds
    return {
        "epochs": total,
        "after": after,
        "energy_j": round(joules.mean, 3),
        "energy_j_p05": round(joules.p05, 3),
        "energy_j_p95": round(joules.p95, 3),
        "duration_s": round(seconds.mean, 3),
        "duration_s_p05": round(seconds.p05, 3),
        "duration_s_p95": round(seconds.p95, 3),
        "method": METHOD,
        "method_version": VERSION,
    }


def _lines(found: Foreseen, options: argparse.Namespace) -> list[str]:
    return [
        f"{clean(options.epoch_log)}: {options.epochs} epochs, from the first {options.after}",
        "",
        f"{'':10}{'predicted':>12}{'half lie within':>26}{'nine in ten within':>26}",
        _line("energy", found.joules, format_energy),
        _line("duration", found.seconds, format_duration),
        "",
        *_grounds(found, options),
    ]


def _line(name: str, one: Estimate, form: Callable[[int], str]) -> str:
    shown = [form(round(value)) for value in (one.mean, one.p25, one.p75, one.p05, one.p95)]
    half, most = f"{shown[1]} - {shown[2]}", f"{shown[3]} - {shown[4]}"
    return f"{name:10}{shown[0]:>12}{half:>26}{most:>26}"


def _grounds(found: Foreseen, options: argparse.Namespace) -> list[str]:
    """What it rests on, a line each."""
    lines = [f"method {METHOD}/{VERSION}"]
    if found.warm_parts:
        parts = "part" if found.warm_parts == 1 else f"{found.warm_parts} parts"
        be = "is" if found.warm_parts == 1 else "are"
        lines.append(f"the first {parts} of the first epoch {be} warm-up, paid once")
    if options.validate_every:
        lines.append(f"validation declared after every {options.validate_every}. epoch")
    if options.history:
        lines.append(f"{found.earlier} of {len(options.history)} earlier logs go on for longer")
    if found.stops:
        lines.append(f"{found.stops} of them ended before epoch {options.epochs}")
    return lines
