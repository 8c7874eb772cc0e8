"""Energy-Charts when it is well, in the shapes of recorded answers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from twin.server import Answer

STEP = 900
HOUR = 3600
DAY = 86_400
BERLIN = ZoneInfo("Europe/Berlin")


class EnergyCharts:
    """The service: measured until an hour ago, expected until tomorrow's end, nulls at the end."""

    def __init__(self, twin, clock, step_s=STEP, countries=("de", "dk", "fr", "at", "nl")):
        self.clock = clock
        self.countries = set(countries)
        self.step_s = step_s
        self.lag_s = HOUR
        self.deprecated = False
        twin.serve("/co2eq", self.answer)

    def answer(self, request):
        country = request.one("country")
        if country not in self.countries:
            said = f"'{country}' is not the code for an available country"
            return Answer(said, 400, content_type="text/plain")
        midnight = datetime.fromtimestamp(self.clock.at, BERLIN).replace(hour=0, minute=0, second=0)
        today = int(midnight.timestamp())
        start, end = (self.instant(request.one(name)) for name in ("start", "end"))
        start, end = start or today, min(end or today + 2 * DAY, today + 2 * DAY)
        times = range(start, end, self.step_s)
        if not times:
            return Answer({"detail": "no content available"}, 404)
        known = self.clock.at - self.lag_s - self.step_s
        last = times[-1] - HOUR  # trailing nulls in both
        return {
            "unix_seconds": list(times),
            "co2eq": [self.value(at) if at <= known else None for at in times],
            "co2eq_forecast": [self.value(at) + 7 if known < at <= last else None for at in times],
            "deprecated": self.deprecated,
        }

    @staticmethod
    def instant(text):
        return None if text is None else int(datetime.fromisoformat(text).timestamp())

    def value(self, at):
        return 200.5 + at // self.step_s % 91
