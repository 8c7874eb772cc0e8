"""WattTime, API v3: marginal emission rates for ranking, averages for the past; needs an account.

``co2_moer`` is what one more kilowatt-hour would emit: it ranks start times and is never a job's
footprint. ``co2_aoer`` is the average of the region's own generation without imports; it has no
forecast and comes up to three days late. Both are CO2 from generation, in pounds per MWh. The data
are proprietary.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Literal

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.fetch import Fetcher, RefusedStatusError
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.http.silence import Silence
from carbonsched.intensity.providers.answers import (
    issue_time,
    made,
    mg_from_pounds,
    read_points,
    row_time,
)
from carbonsched.intensity.providers.rows import clean, known, spans, written
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo

if TYPE_CHECKING:
    from carbonsched.ports import Clock

BASE_URL = "https://api.watttime.org"
NAME = "watttime"
HORIZON_HOURS = 72
MAX_CALL_S = 30 * 86_400
TOKEN_S = 28 * 60
"""A token lives half an hour and does not say so; it is renewed before."""
UNITS = "lbs_co2_per_mwh"
_HOUR_S = 3600
_MARKED = {"include_imputed_marker": "true"}
_TOKEN = re.compile(r"[!-~]{1,8000}")
_ACCOUNT = "correct username and key_file or key_env"
_log = logging.getLogger(__name__)


def shared_fetcher(*, clock: Clock, timeout_s: float) -> Fetcher:
    """What asks the service, once for all zones."""
    return Fetcher(
        name=NAME,
        timeout_s=timeout_s,
        settings="region, signal or base_url",
        silence=Silence(clock),
    )


class WattTimeProvider:
    """The live service, or one that speaks like it at another ``base_url``."""

    def __init__(
        self,
        *,
        zone: str,
        clock: Clock,
        username: str,
        password: Secret,
        region: str,
        signal: Literal["co2_moer", "co2_aoer"] = "co2_moer",
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
        fetcher: Fetcher | None = None,
    ) -> None:
        """``region`` is the service's own name of the zone, such as ``CAISO_NORTH``."""
        self._info = SeriesInfo(
            provider=NAME,
            zone=zone,
            kind="marginal" if signal == "co2_moer" else "average",
            basis="production",
            gas="CO2",
            scope="direct",
            note=f"{region}, source: WattTime",
        )
        self._clock = clock
        self._account = (username, password)
        self._region = region
        self._signal = signal
        self._base_url = base_url.rstrip("/")
        self._fetcher = fetcher or shared_fetcher(clock=clock, timeout_s=timeout_s)
        self._token: Secret | None = None
        self._token_at = 0
        self._model: str | None = None

    @property
    def info(self) -> SeriesInfo:
        """Marginal or average by the signal; production, direct CO2."""
        return self._info

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """The periods that touch the interval and are over; one call for 30 days."""
        now = self._clock.now()
        points: list[Point] = []
        for from_at, to_at in spans(start_at, min(end_at, now), step_s=_HOUR_S, most_s=MAX_CALL_S):
            # Its end is inclusive.
            span = {"start": written(from_at), "end": written(to_at - 60)} | _MARKED
            points += self._points(self._get("historical", span), flagged=True)
        wanted = known(points, start_at, end_at, now)
        return IntensitySeries(info=self._info, fetched_at=now, points=clean(NAME, wanted))

    def forecast(self, now: int) -> Forecast | None:
        """The periods ahead that were really received; ``None`` for the average: there is none."""
        if self._signal == "co2_aoer":
            return None
        document = self._get("forecast", {"horizon_hours": HORIZON_HOURS})
        points = [point for point in self._points(document, flagged=False) if point.end_at > now]
        ahead = clean(NAME, points)
        if not ahead:
            raise ProviderMalformedError(f"{NAME}: the forecast has no usable period")
        issued_at = issue_time(document["meta"].get("generated_at"), now)
        return Forecast(info=self._info, issued_at=issued_at, points=ahead)

    def _get(self, what: str, params: dict[str, Any]) -> Any:
        """The document, with a new token where the old one is no longer taken, but once."""
        asked = {"region": self._region, "signal_type": self._signal, **params}
        token = self._logged_in()
        url = f"{self._base_url}/v3/{what}"
        try:
            try:
                return self._fetcher.json(url, asked, {"Authorization": token})
            except RefusedStatusError as error:
                if error.status != 401:
                    raise
            return self._fetcher.json(url, asked, {"Authorization": self._log_in()})
        except RefusedStatusError as error:
            raise self._refusal(what, error) from None

    def _logged_in(self) -> Secret:
        # A clock set back makes the token's age negative: not known, so it is renewed.
        if self._token is not None and 0 <= self._clock.now() - self._token_at < TOKEN_S:
            return self._token
        return self._log_in()

    def _log_in(self) -> Secret:
        self._token = None
        try:
            answer = self._fetcher.json(f"{self._base_url}/login", auth=self._account)
        except RefusedStatusError as error:
            if error.status not in {401, 403}:
                raise
            raise ProviderRefusedError(f"{NAME}: the account is refused: {_ACCOUNT}") from None
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ProviderMalformedError(f"{NAME}: the login answered without a token")
        self._token, self._token_at = Secret(f"Bearer {token}"), self._clock.now()
        return self._token

    def _refusal(self, what: str, error: RefusedStatusError) -> ProviderRefusedError:
        if error.status == 401:
            return ProviderRefusedError(f"{NAME}: a new token is refused at once: {_ACCOUNT}")
        if error.status == 403 and b"invalid scope" in error.body.lower():
            said = f"{NAME}: the account's plan has no {what} of {self._signal} in {self._region}"
            return ProviderRefusedError(f"{said}: choose another plan, region or signal")
        return error

    def _points(self, document: Any, *, flagged: bool) -> list[Point]:
        rows, period_s = self._checked(document)

        def read(row: Any) -> Point | None:
            # Only a clear false is taken for a figure that will stay.
            estimated = flagged and row.get("imputed_data_used") is not False
            # A whole grid at zero is a fault; the plant on the margin may well be a wind park.
            mg = mg_from_pounds(row["value"], zero=self._info.kind == "marginal")
            return made(row_time(row["point_time"]), period_s, mg, estimated=estimated)

        return read_points(NAME, rows, read, "{point_time, value}")

    def _checked(self, document: Any) -> tuple[list[Any], int]:
        """The rows and their length, if they are of what was asked and in pounds per MWh."""
        if isinstance(document, dict) and "error" in document:
            raise ProviderUnavailableError(
                f"{NAME}: answers with an error though the status is 200"
            )
        rows = document.get("data") if isinstance(document, dict) else None
        meta = document.get("meta") if isinstance(document, dict) else None
        if not isinstance(rows, list) or not isinstance(meta, dict):
            raise ProviderMalformedError(f"{NAME}: the answer has no 'data' and 'meta'")
        wanted = {"region": self._region, "signal_type": self._signal, "units": UNITS}
        for name, value in wanted.items():
            if meta.get(name) != value:
                raise ProviderMalformedError(f"{NAME}: the answer's {name} is not {value}")
        period_s = meta.get("data_point_period_seconds")
        if isinstance(period_s, bool) or not isinstance(period_s, int) or period_s <= 0:
            raise ProviderMalformedError(f"{NAME}: the answer does not say how long a period is")
        if self._model not in {None, model := str(meta.get("model"))}:
            # A new model may shift the level of the whole series.
            _log.warning("%s: the model of %s is another than before", NAME, self._region)
        self._model = model
        return rows, period_s
