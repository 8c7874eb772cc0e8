"""Electricity Maps when it is well, as its reference pages and recorded answers show it."""

from __future__ import annotations

from datetime import UTC, datetime

from twin.server import Answer

HOUR = 3600
DAY = 86_400
SIX = 1795197600  # 2026-11-20T18:00Z
PLACE = "DK-DK2"


def written(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def instant(text):
    return int(datetime.fromisoformat(text).timestamp())


def value(at):
    return 60 + at // HOUR % 41


def row(at, place=PLACE, now=SIX, **changes):
    told = {
        "zone": place,
        "carbonIntensity": value(at),
        "datetime": written(at),
        "updatedAt": "2026-11-20T17:43:00.000Z",
        "createdAt": "2026-11-16T19:44:00.000Z",
        "emissionFactorType": "lifecycle",
        "flowTraced": True,
        "isEstimated": at >= now - 2 * HOUR,
        "estimationMethod": "FORECASTS_HIERARCHY" if at >= now - 2 * HOUR else None,
    }
    return told | changes


class ElectricityMaps:
    """Electricity Maps, as its reference pages and recorded answers show it."""

    def __init__(self, twin, clock):
        self.clock = clock
        self.updated = "2026-11-20T18:20:03.111Z"
        twin.serve("/v4/carbon-intensity/history", self.history)
        twin.serve("/v4/carbon-intensity/past-range", self.past)
        twin.serve("/v4/carbon-intensity/forecast", self.forecast)

    def history(self, request):
        last = self.clock.at // HOUR * HOUR
        rows = [self.row(at, request) for at in range(last - 23 * HOUR, last + 1, HOUR)]
        return {"zone": request.one("zone"), "temporalGranularity": "hourly", "history": rows}

    def past(self, request):
        start, end = instant(request.one("start")), instant(request.one("end"))
        if end - start > 10 * DAY:
            return Answer({"status": "error", "message": "at most 10 days"}, 400)
        rows = [self.row(at, request) for at in range(start, end, HOUR)]
        return {"temporalGranularity": "hourly", "data": rows}

    def forecast(self, request):
        first = self.clock.at // HOUR * HOUR
        hours = range(first, first + (int(request.one("horizonHours")) + 1) * HOUR, HOUR)
        rows = [{"carbonIntensity": value(at), "datetime": written(at)} for at in hours]
        top = {"updatedAt": self.updated, "temporalGranularity": "hourly"}
        return {"zone": request.one("zone"), "forecast": rows} | top

    def row(self, at, request):
        return row(at, request.one("zone"), self.clock.at // HOUR * HOUR)
