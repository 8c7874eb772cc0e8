"""The command ``csbatch``.

The order matters for speed: sbatch is started as early as can be, and what is needed to talk to
the daemon (an HTTP client, MUNGE) is loaded while sbatch waits for slurmctld.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from carbonsched.errors import CarbonschedError, RequestError
from carbonsched.model.directives import Directives, encode_mark
from carbonsched.site import Site, load_site
from carbonsched.submit.options import Options, Places, split_leading, to_directives, to_places
from carbonsched.submit.sbatch_run import Sbatch, Submitted, become_sbatch, end_like
from carbonsched.submit.sbatch_words import CommandLine, read_command_line
from carbonsched.submit.script import ScriptHead, digest, find_script, read_head, scan

if TYPE_CHECKING:
    from carbonsched.submit.placement import Placed


def main(argv: Sequence[str] | None = None) -> int:
    """Run csbatch; the exit status is sbatch's, or 64 for a wrong option of ours."""
    if argv is None:  # a process of its own: it ends before collecting garbage could pay
        gc.disable()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except CarbonschedError as error:
        _warn(f"error: {str(error).partition(chr(10))[0]}")
        return error.exit_status
    except KeyboardInterrupt:
        return end_like(-signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """Everything that is known before sbatch runs."""

    words: list[str]
    line: CommandLine
    head: ScriptHead
    stdin: bytes | None
    options: Options
    directives: Directives
    places: Places | None
    requeue: list[str]

    @property
    def leased(self) -> bool:
        """Whether csbatch may add a begin time: never beside one that the owner may have given."""
        given = self.line.names | self.head.sbatch_names
        at_once = self.directives.start_now or self.directives.pilot
        return self.line.unknown is None and not at_once and "begin" not in given

    def told(self, site: Site) -> Directives:
        """What the daemon is told: the owner's wishes, and the lease if there is one."""
        return replace(self.directives, lease_s=self.lease_s(site) or None)

    def lease_s(self, site: Site) -> int:
        """The lease that csbatch adds, 0 for none; a site in shadow mode has none to give."""
        return site.lease_s if self.leased else 0

    def fallback(self, site: Site) -> str:
        """What the job does without the daemon."""
        if self.lease_s(site):
            return f"it starts when its lease of {site.lease_s} s ends"
        return "it starts as Slurm schedules it"

    @property
    def marked(self) -> bool:
        """Whether csbatch may add a comment: never over one that the script may hold."""
        return self.line.unknown is None and "comment" not in self.head.sbatch_names

    @property
    def waits(self) -> bool:
        """Whether sbatch will block until the job ends."""
        return self.line.waits or "wait" in self.head.sbatch_names or "SBATCH_WAIT" in os.environ


def _run(argv: Sequence[str]) -> int:
    given, words = split_leading(argv)
    if given.help:
        from carbonsched.submit.help_text import HELP  # noqa: PLC0415 - seldom asked for

        print(HELP, end="")
        return 0
    line = read_command_line(words)
    if line.misplaced is not None:
        raise RequestError(
            f"{line.misplaced} stands after sbatch's own options; put csbatch's options first"
        )
    if not line.submits:
        to_directives(given, int(time.time()))
        to_places(given)
        return become_sbatch(words)
    return _submit(_read_submission(given, words, line))


def _read_submission(given: Options, words: list[str], line: CommandLine) -> _Submission:
    if line.unknown is not None:
        _warn(
            f"warning: {line.unknown} is an option csbatch does not know, so it cannot tell which"
            " word is the script: #CARBON lines, the lease and a choice of place are left out"
        )
    stdin = sys.stdin.buffer.read() if line.reads_stdin and sys.stdin is not None else None
    path = find_script(line)
    content = stdin if stdin is not None else read_head(path) if path is not None else b""
    head = scan(content, line.script or "standard input")
    options = given.over(head.options)
    directives = to_directives(options, int(time.time()))
    if directives.pilot or directives.budget_mg is not None:
        _check_one_job(directives, line, head)
    return _Submission(
        words=words,
        line=line,
        head=head,
        stdin=stdin,
        options=options,
        directives=replace(directives, script_digest=_digest(line, content)),
        places=to_places(options),
        requeue=_requeue_words(line, head) if directives.checkpoint else [],
    )


def _digest(line: CommandLine, content: bytes) -> str | None:
    """Of the script, or of the command that sbatch makes one of."""
    if line.unknown is not None:
        return None
    return digest(os.fsencode(line.values["wrap"]) if "wrap" in line.names else content)


def _check_one_job(directives: Directives, line: CommandLine, head: ScriptHead) -> None:
    from carbonsched.submit.one_job import check_one_job  # noqa: PLC0415 - asked for by few

    check_one_job(directives, line, head)


def _requeue_words(line: CommandLine, head: ScriptHead) -> list[str]:
    from carbonsched.submit.requeue import requeue_words  # noqa: PLC0415 - asked for by few

    return requeue_words(line, head)


def _submit(submission: _Submission) -> int:
    site = _site()
    placed = _placed(submission, site)
    sbatch = Sbatch(
        [*_additions(submission, site, placed), *submission.words],
        stdin=submission.stdin,
        at_once=submission.waits,
    )
    sbatch.forward_signals()

    def on_submitted(submitted: Submitted) -> None:
        if site is not None and not (placed and placed.away):
            _tell(submission, site, submitted, placed)

    if site is not None:
        _load_report()
    sbatch.copy_output(on_submitted)
    return end_like(sbatch.wait())


def _placed(submission: _Submission, site: Site | None) -> Placed | None:
    """The daemon's choice of a place; ``None`` where none is asked for, or the owner has one."""
    line, head, places = submission.line, submission.head, submission.places
    if places is None or line.unknown is not None:
        return None
    # Loaded only here: most submissions ask for no choice.
    from carbonsched.submit import placement  # noqa: PLC0415 - asked for by few
    from carbonsched.submit.report import say  # noqa: PLC0415 - see the module's top
    from carbonsched.submit.size import all_options, read_size  # noqa: PLC0415 - asked for by few

    options = all_options(line, head)
    quiet = "quiet" in options
    in_parts = line.heterogeneous or head.heterogeneous
    if (why := placement.bound(places, options, heterogeneous=in_parts)) is not None:
        if not quiet and site is not None:
            say(f"{why}, so no {places.noun} is chosen")
        return None
    if site is None:
        return placement.unasked(places)
    size, unread = read_size(line, head)
    here = options.get("clusters") if places.noun == "partition" else None
    placed = placement.place(site, places, submission.directives, size, unread, here)
    if placed.failure is not None:
        say(placement.warning(places, placed, submission.fallback(site)))
    if not quiet:
        for words in (*placed.lines, *(placed.reasoning if submission.options.explain else ())):
            say(words)
    return placed


def _additions(submission: _Submission, site: Site | None, placed: Placed | None) -> list[str]:
    """Our own words for sbatch, before the user's so that the user's win."""
    where = [placed.word] if placed and placed.word else []
    if site is None:
        return where
    lease_s = submission.lease_s(site)
    lease = [f"--begin=now+{lease_s}"] if lease_s else []
    mark = [f"--comment={encode_mark(submission.told(site))}"] if submission.marked else []
    return lease + mark + submission.requeue + where


def _tell(submission: _Submission, site: Site, submitted: Submitted, placed: Placed | None) -> None:
    from carbonsched.submit.report import say, tell_daemon  # noqa: PLC0415 - see the module's top

    if submission.options.explain:
        say(f"added for sbatch: {' '.join(_additions(submission, site, placed)) or 'nothing'}")
        say(f"asking {site.daemon_url} as of cluster {submitted.cluster or site.cluster}")
    tell_daemon(
        site,
        submitted,
        submission.told(site),
        explain=submission.options.explain,
        fallback=submission.fallback(site),
    )


def _site() -> Site | None:
    try:
        return load_site()
    except CarbonschedError as error:
        _warn(f"warning: submitting by plain sbatch, without a carbon plan: {error}")
        return None


def _load_report() -> None:
    """Load what :func:`_tell` needs while sbatch runs."""
    import carbonsched.submit.report  # noqa: F401, PLC0415


def _warn(text: str) -> None:
    print(f"csbatch: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
