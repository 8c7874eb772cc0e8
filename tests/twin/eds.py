"""Energi Data Service when it is well, in the shapes of its guides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

STEP = 300
HOUR = 3600
DK = ZoneInfo("Europe/Copenhagen")


def naive(at, zone=UTC):
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%dT%H:%M:%S")


def minute_row(at, area, value):
    return {
        "Minutes5UTC": naive(at),
        "Minutes5DK": naive(at, DK),
        "PriceArea": area,
        "CO2Emission": value,
    }


def hour_row(at, area, value, method="125%"):
    return {
        "HourUTC": naive(at),
        "HourDK": naive(at, DK),
        "PriceArea": area,
        "FuelAllocationMethod": method,
        "CO2PerkWh": value,
    }


class Eds:
    """The service: ``limit=0`` gives all, else the newest hundred; times are local unless UTC."""

    def __init__(self, twin, clock):
        self.clock = clock
        self.horizon_s = 30 * HOUR
        self.settled_until = 0
        self.value = lambda at, area: (100.25 if area == "DK1" else 60.5) + at // STEP % 77
        for name, rows in (
            ("CO2Emis", self.real_time),
            ("CO2EmisProg", self.prognosis),
            ("DeclarationGridEmission", self.settled),
        ):
            twin.serve(f"/dataset/{name}", lambda request, rows=rows: self.answer(request, rows))

    def answer(self, request, rows):
        zone = UTC if request.one("timezone") == "UTC" else DK
        start, end = (self.instant(request.one(name), zone) for name in ("start", "end"))
        wanted = json.loads(request.one("filter") or "{}")
        found = [
            row
            for row in rows(start, end)
            if all(row[column] in allowed for column, allowed in wanted.items())
        ]
        total = len(found)
        if request.one("limit") != "0":
            found = found[::-1][:100]
        columns = (request.one("columns") or "").split(",")
        return {
            "total": total,
            "sort": request.one("sort"),
            "limit": int(request.one("limit") or 100),
            "dataset": request.path.rsplit("/", 1)[1],
            "records": [{name: row[name] for name in columns} for row in found],
        }

    @staticmethod
    def instant(text, zone):
        if text is None:
            return None
        assert len(text) == len("2026-11-20T18:00"), "no seconds, no Z, no offset"
        return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())

    def real_time(self, start, end):
        until = min(end, self.clock.at - self.clock.at % STEP - STEP)
        return self.minutes(start, until, self.value)

    def prognosis(self, start, end):
        until = end or self.clock.at - self.clock.at % STEP + self.horizon_s
        return self.minutes(start, until, lambda at, area: 11 + self.value(at, area))

    @staticmethod
    def minutes(start, until, value):
        first = start + -start % STEP
        return [
            minute_row(at, area, value(at, area))
            for at in range(first, until, STEP)
            for area in ("DK1", "DK2")
        ]

    def settled(self, start, end):
        return [
            hour_row(at, area, 40 + at // HOUR % 24 + extra, method)
            for at in range(start, min(end, self.settled_until), HOUR)
            for area in ("DK1", "DK2")
            for method, extra in (("125%", 0), ("200%", 500), ("All", 700))
        ]
