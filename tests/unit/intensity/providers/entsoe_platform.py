"""The Transparency Platform in the tests: the shapes of its documents, and it when it is well."""

from __future__ import annotations

from datetime import UTC, datetime

DK1 = "10YDK-1--------W"
HOUR = 3600
DAY = 86_400
NOON = 1795176000  # 2026-11-20T12:00Z
NAMESPACE = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"


def shown(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def asked_at(text):
    return int(datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp())


def series(values, start, end, *, psr=None, step="PT60M", curve="A01", side="in", unit="MAW"):
    """One TimeSeries; ``values`` maps positions to quantities."""
    kind = f"<MktPSRType><psrType>{psr}</psrType></MktPSRType>" if psr else ""
    points = "".join(
        f"<Point><position>{at}</position><quantity>{value}</quantity></Point>"
        for at, value in values.items()
    )
    return (
        "<TimeSeries><mRID>1</mRID><businessType>A01</businessType>"
        f'<{side}BiddingZone_Domain.mRID codingScheme="A01">{DK1}</{side}BiddingZone_Domain.mRID>'
        f"<quantity_Measure_Unit.name>{unit}</quantity_Measure_Unit.name>"
        f"<curveType>{curve}</curveType>{kind}<Period><timeInterval><start>{shown(start)}</start>"
        f"<end>{shown(end)}</end></timeInterval><resolution>{step}</resolution>{points}"
        "</Period></TimeSeries>"
    )


def document(*some, kind="A75", process="A16"):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><GL_MarketDocument xmlns="{NAMESPACE}">'
        f"<type>{kind}</type><process.processType>{process}</process.processType>"
        f"<createdDateTime>2026-11-20T18:05:00Z</createdDateTime>{''.join(some)}"
        "</GL_MarketDocument>"
    )


def acknowledgement(code="999", text="No matching data found for Data item X [16.1.B&amp;C]"):
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Acknowledgement_MarketDocument xmlns="urn:'
        'iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"><mRID>a</mRID>'
        f"<Reason><code>{code}</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"
    )


def wind(at):
    return 800 + at // 900 % 97 * 5


def gas(at):
    return 900 + at // HOUR % 41 * 20


def load(at):
    return gas(at) + wind(at) + 700 - at // HOUR % 5 * 10


class Platform:
    """The platform when it is well: gas in hours, wind and coal in quarters, pumps taking."""

    def __init__(self, now, step_s=900):
        self.now = now
        self.step_s = step_s
        self.step = f"PT{step_s // 60}M"

    def __call__(self, request):
        start, end = asked_at(request.one("periodStart")), asked_at(request.one("periodEnd"))
        assert end - start <= 365 * DAY
        kind, process = request.one("documentType"), request.one("processType")
        side = "outBiddingZone_Domain" if kind == "A65" else "in_Domain"
        assert request.one(side) == DK1
        if process == "A16":
            end = min(end, self.now() - self.now() % HOUR)
        if end <= start:
            return acknowledgement()
        return document(*getattr(self, kind)(start, end), kind=kind, process=process)

    def A75(self, start, end):  # noqa: N802
        yield series(hours(gas, start, end), start, end, psr="B04")
        values = hours(wind, start, end, self.step_s)
        yield series(values, start, end, psr="B19", step=self.step)
        yield series({1: 600}, start, end, psr="B05", step=self.step, curve="A03")
        yield series({1: 250}, start, end, psr="B10", curve="A03")
        yield series({1: 300}, start, end, psr="B10", curve="A03", side="out")

    def A65(self, start, end):  # noqa: N802
        yield series(hours(load, start, end), start, end, side="out")

    def A69(self, start, end):  # noqa: N802
        values = hours(wind, start, end, self.step_s)
        yield series(values, start, end, psr="B19", step=self.step)

    def A71(self, start, end):  # noqa: N802
        yield series({1: 2500}, start, end, curve="A03")


def hours(value, start, end, step_s=HOUR):
    return {1 + n: value(at) for n, at in enumerate(range(start, end, step_s))}
