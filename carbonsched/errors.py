"""The exceptions of carbonsched.

Adapters translate what their libraries raise into these at the boundary; commands print one line
and exit with the class's status (sysexits.h). Bugs are not in this tree and are not caught.
"""

from __future__ import annotations


class CarbonschedError(Exception):
    """Something a person can act on; the message names the thing and the remedy."""

    exit_status = 1


class ConfigError(CarbonschedError):
    """The configuration is wrong; ``problems`` holds one line for each fault found."""

    exit_status = 78

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RequestError(CarbonschedError):
    """The caller asked for something that cannot be: bad option, unknown job."""

    exit_status = 64


class TooLargeError(RequestError):
    """The other side takes no request of this size."""


class ForbiddenError(RequestError):
    """The caller may not see or do this."""

    exit_status = 77


class AuthenticationError(CarbonschedError):
    """A credential is missing, malformed, expired, replayed, or not for this request."""

    exit_status = 77


class ExternalError(CarbonschedError):
    """Something outside failed; ``retryable`` says whether the next tick may find it well."""

    exit_status = 69
    retryable = True


class DaemonError(ExternalError):
    """The daemon cannot be reached or answered with an error."""


class ProviderError(ExternalError):
    """An intensity provider could not answer."""


class ProviderUnavailableError(ProviderError):
    """Unreachable, slow, rate-limited or broken just now."""


class ProviderRefusedError(ProviderError):
    """The provider refuses: wrong key, zone or plan. Permanent until configured otherwise."""

    retryable = False


class ProviderMalformedError(ProviderError):
    """The answer is not what the provider documents: HTML, nulls, zeros, gaps."""


class ClusterError(ExternalError):
    """Slurm could not be asked or told."""


class ClusterUnavailableError(ClusterError):
    """slurmctld or slurmdbd does not answer."""


class ClusterRefusedError(ClusterError):
    """Slurm refused the request, for instance because the job is no longer pending."""

    retryable = False


class MeterError(ExternalError):
    """A power meter could not be read."""


class LedgerError(CarbonschedError):
    """The ledger cannot be opened or contradicts itself: stop, never guess."""

    exit_status = 74
