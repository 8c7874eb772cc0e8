"""Documents as the daemon answers them, made up but consistent: parts add up to their totals."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
START_AT = int(datetime(2026, 11, 1, tzinfo=ZONE).timestamp())
END_AT = int(datetime(2026, 12, 1, tzinfo=ZONE).timestamp())
NOW = int(datetime(2026, 11, 20, 14, 30, tzinfo=ZONE).timestamp())
HOUR = 3600
PUE_PPM = 1_250_000
PROVIDER = "carboncast: DE, average, production, lifecycle CO2eq"
HOSTILE_NAMES = (
    '<script>alert("1")</script>',
    "tab\tand\nnewline\r",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "quotes ' \" ` $(id) & %s {{ 7*7 }} {% raw %}",
    '=HYPERLINK("http://x")',
    "pipe|pipe,comma;semi",
    "Übung-训练-🎓-ñandú",
    "right\u202eto-left\u200b",
    "</script><img src=x onerror=alert(1)>",
    "%{customdata[0]} <b>bold</b> <a href='javascript:alert(1)'>x</a>",
    "a" * 300,
    "",
    "c1\x9b31m\u2028line",
)
_NAMES = ("train-unet", "eval-unet", "preprocess", "md-argon", "sweep-lr", "cfd-wing", "align-rna")


def intensity(start_at: int = START_AT, end_at: int = NOW) -> list[dict]:
    """Hours with a daily swing and slow weather."""
    steps = []
    for at in range(start_at, end_at, HOUR):
        hour = at / HOUR
        day = 60 * math.cos((hour % 24 - 19) / 24 * 2 * math.pi)
        sun = -110 * max(0, math.sin((hour % 24 - 6) / 12 * math.pi))
        weather = 90 * math.sin(hour / 61) + 40 * math.sin(hour / 23)
        steps.append({
            "start_at": at, "end_at": at + HOUR,
            "g_per_kwh": round(max(40.0, 360 + day + sun + weather), 1),
        })  # fmt: skip
    return steps


def mean(steps: list[dict], start_at: int, end_at: int) -> float:
    """Mean over an interval of hourly steps."""
    first = max(0, (start_at - steps[0]["start_at"]) // HOUR)
    steps = steps[first : (end_at - steps[0]["start_at"]) // HOUR + 1]
    weights = [
        (max(0, min(end_at, one["end_at"]) - max(start_at, one["start_at"])), one["g_per_kwh"])
        for one in steps
    ]
    return sum(w * g for w, g in weights) / max(1, sum(w for w, _ in weights))


def job(number: int = 1204, **changed) -> dict:
    """One job that has ended, measured and final."""
    made = {
        "cluster": "lab", "job_id": number, "shown_id": str(number), "restarts": 0,
        "user": "alice", "account": "physics", "partition": "main", "name": "train-unet",
        "campaign": "unet", "state": "COMPLETED", "submitted_at": NOW - 9 * HOUR,
        "started_at": NOW - 4 * HOUR, "ended_at": NOW - 2 * HOUR, "elapsed_s": 2 * HOUR,
        "node_count": 1, "cpus": 16, "nodes": ["n1"], "deferred_s": 5 * HOUR,
        "energy_j": 5_400_000, "mg": 412_500, "provisional": False, "quality": "measured",
        "coverage": 1.0, "g_per_kwh": 220.0, "pue": 1.25, "sources": [PROVIDER],
        "saved_mg": 96_000, "pue_source": "declared", "uncertainty_j": 0, "embodied_mg": None,
        "why": "", "domains": {"cpu": 4_000_000, "memory": 1_000_000, "rest": 400_000},
    }  # fmt: skip
    return {**made, **changed}


def evidence(job_document: dict, segment_s: int = 300) -> list[dict]:
    """The job's segments; their joules add up to the job's and their mass to its mass."""
    start, end = job_document["started_at"], job_document["ended_at"]
    cuts = [*range(start, end, segment_s), end]
    left = job_document["energy_j"]
    rows = []
    for index, (from_at, to_at) in enumerate(pairwise(cuts)):
        energy = left if index == len(cuts) - 2 else job_document["energy_j"] // (len(cuts) - 1)
        left -= energy
        exact = Fraction(energy * PUE_PPM * 220_000, 3_600_000 * 10**6)
        rows.append({
            "node": "n1", "start_at": from_at, "end_at": to_at, "energy_j": energy,
            "quality": "measured", "meter": "rapl", "g_per_kwh": 220.0, "provider": PROVIDER,
            "mg": str(Decimal(exact.numerator) / Decimal(exact.denominator)), "pue": 1.25,
            "domains": {"cpu": energy - energy // 4, "rest": energy // 4}, "uncertainty_j": 0,
            "unclaimed_j": 0,
        })  # fmt: skip
    return rows


def month_jobs(count: int = 60, *, hostile: bool = False, seed: int = 7) -> list[dict]:
    """A month of jobs of three kinds: deferred, at once, and some without full figures."""
    dice = random.Random(seed)
    steps = intensity()
    jobs = []
    for index in range(count):
        submitted = START_AT + dice.randrange(0, NOW - START_AT - 30 * HOUR, 60)
        waits = dice.random() < 0.55
        elapsed = int(HOUR * dice.choice((0.3, 0.8, 1.5, 3, 5, 9)) * dice.uniform(0.7, 1.3))
        starts = range(submitted, submitted + (18 * HOUR if waits else 1), HOUR)
        started = min(starts, key=lambda at, length=elapsed: mean(steps, at, at + length))
        quality = dice.choices(
            ("measured", "sampled", "partial", "modelled", "missing"), (60, 10, 12, 13, 5)
        )[0]
        met = round(mean(steps, started, started + elapsed), 1)
        base = mean(steps, submitted, submitted + elapsed)
        energy = None if quality == "missing" else int(elapsed * dice.uniform(150, 900))
        mg = None if energy is None else round(energy * 1.25 * met * 1000 / 3_600_000)
        deferred = started - submitted
        saved = round((energy or 0) * 1.25 * (base - met) * 1000 / 3_600_000) if deferred else 0
        jobs.append(job(
            1200 + index, name=dice.choice(_NAMES), submitted_at=submitted, started_at=started,
            ended_at=started + elapsed, elapsed_s=elapsed, energy_j=energy, mg=mg,
            quality=quality, g_per_kwh=None if energy is None else met,
            saved_mg=None if energy is None else saved,
            deferred_s=deferred, cpus=dice.choice((4, 16, 64)),
            account=dice.choice(("physics", "physics", "teaching")),
            campaign=dice.choice(("unet", "unet", None, "wing-2026")),
            provisional=started + elapsed > NOW - 12 * HOUR,
            state=dice.choices(("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED by 1000"),
                               (85, 7, 5, 3))[0],
            coverage=None if quality == "missing" else 1.0,
            domains={} if energy is None else {"cpu": energy - energy // 5, "gpu": energy // 5},
            embodied_mg=elapsed * 8 if index % 4 else None,
            uncertainty_j=None if energy is None else energy // 4 * (quality == "modelled"),
            why={"missing": "no reading", "partial": "covered 61 %"}.get(quality, ""),
        ))  # fmt: skip
    if hostile:
        for one, name in zip(jobs, HOSTILE_NAMES, strict=False):
            one["name"] = name
    return jobs


def report(jobs: list[dict] | None = None, **changed) -> dict:
    """A user's statement over these jobs, a realistic month's unless given."""
    jobs = month_jobs() if jobs is None else jobs
    jobs = sorted(jobs, key=lambda one: -(one["mg"] or 0))
    mg = sum(one["mg"] or 0 for one in jobs)
    saved = [one["saved_mg"] for one in jobs if one["saved_mg"] is not None]
    embodied = [one["embodied_mg"] for one in jobs if one["embodied_mg"] is not None]
    pues = [one["pue"] for one in jobs if one["pue"] is not None]
    made = {
        "site": "Example University HPC",
        "subject": {"kind": "user", "name": "alice"},
        "period": {
            "name": "2026-11", "start_at": START_AT, "end_at": END_AT,
            "time_zone": "Europe/Berlin",
        },
        "generated_at": NOW,
        "totals": {
            "jobs": len(jobs),
            "energy_j": sum(one["energy_j"] or 0 for one in jobs),
            "mg": mg,
            "provisional_mg": sum(one["mg"] or 0 for one in jobs if one["provisional"]),
            "saved_mg": sum(saved) if saved else None,
            "embodied_mg": sum(embodied) if embodied else None,
            "embodied_jobs": len(embodied),
            "modelled_j": sum(one["energy_j"] or 0 for one in jobs if one["uncertainty_j"]),
            "uncertainty_j": sum(one["uncertainty_j"] or 0 for one in jobs),
            "deferred_jobs": sum(1 for one in jobs if one["deferred_s"]),
            "cpu_s": sum(one["cpus"] * one["elapsed_s"] for one in jobs),
            "elapsed_s": sum(one["elapsed_s"] for one in jobs),
        },
        "quality": _quality(jobs),
        "domains": {
            name: sum(one["domains"].get(name, 0) for one in jobs)
            for name in ("cpu", "memory", "gpu", "node", "rest")
            if any(name in one["domains"] for one in jobs)
        },
        "pue": {"low": min(pues), "high": max(pues), "sources": ["declared"]} if pues else None,
        "days": _sums(jobs, lambda one: _date(one["ended_at"] or NOW), "date"),
        "accounts": _sums(jobs, lambda one: one["account"], "name"),
        "campaigns": _sums([one for one in jobs if one["campaign"]],
                           lambda one: one["campaign"], "name"),
        "jobs": jobs[:200],
        "intensity": intensity(),
        "intensity_label": PROVIDER,
        "quota": {
            "subject": "user:alice", "budget_mg": 25_000_000, "granted_mg": 5_000_000,
            "charged_mg": mg, "reserved_mg": 2_300_000,
            "remaining_mg": 30_000_000 - mg - 2_300_000,
        },
        "car": {"km": round(mg / 1000 / 106.8, 3), "g_per_km": 106.8,
                "source": "EEA, new passenger cars in the EU", "year": 2024},
        "sources": [PROVIDER, "static: DE, average, production, lifecycle CO2eq (last resort)"],
        "statement": f"The computations in this work used {mg} mg of CO2eq, by carbonsched.",
    }  # fmt: skip
    return {**made, **changed}


def empty_report() -> dict:
    """A month without a job."""
    return report(
        [], intensity=[], quota=None, sources=[], statement="", intensity_label="",
        car={"km": 0.0, "g_per_km": 106.8, "source": "EEA", "year": 2024},
    )  # fmt: skip


def queue_job(number: int = 1301, **changed) -> dict:
    """A job that waits for cleaner hours."""
    made = {
        "cluster": "lab", "job_id": number, "shown_id": str(number), "restarts": 0,
        "user": "alice", "account": "physics", "partition": "main", "name": "train-unet",
        "state": "PENDING", "reason": "BeginTime", "cpus": 16, "node_count": 1, "tasks": 1,
        "submitted_at": NOW - 600, "started_at": None, "planned_start_at": NOW + 11 * HOUR + 1800,
        "latest_at": NOW + 24 * HOUR, "plan_reason": "cleaner",
        "plan_text": "starts in 11 h 30 min: 412 g instead of 508 g if started now (19 % less)",
        "expected_mg": 412_000, "baseline_mg": 508_000, "saved_mg": 96_000,
        "best_mg": 400_000, "planned_at": NOW - 540, "shadow_start_at": None, "shadow_mg": None,
        "stopped_at": None, "stopping_at": None,
        "forecast_label": PROVIDER, "epoch": None, "epochs": 50,
        "prediction": {
            "source": "history", "samples": 7,
            "duration_s": 7200, "duration_low_s": 6000, "duration_p25_s": 6600,
            "duration_p75_s": 7800, "duration_high_s": 9000,
            "energy_j": 5_400_000, "energy_low_j": 4_400_000, "energy_p25_j": 5_000_000,
            "energy_p75_j": 5_900_000, "energy_high_j": 6_900_000,
            "mg": 412_000, "mg_low": 340_000, "mg_p25": 380_000, "mg_p75": 450_000,
            "mg_high": 520_000,
            "explanation": "7 earlier jobs of the same name",
        },
        "finish_at": NOW + 13 * HOUR + 1800, "finish_low_at": NOW + 13 * HOUR + 600,
        "finish_p25_at": NOW + 13 * HOUR + 1200, "finish_p75_at": NOW + 13 * HOUR + 2400,
        "finish_high_at": NOW + 14 * HOUR, "earlier_runs": 0, "earlier_s": 0, "earlier_j": None,
        "earlier_mg": None, "budget": None, "pilot": None,
        "quota": [{"subject": "user:alice", "period": "2026-11", "left_mg": 20_000_000,
                   "share": 0.0206}],
    }  # fmt: skip
    return {**made, **changed}


def queue(*, hostile: bool = False) -> dict:
    """Jobs in every situation."""
    jobs = [
        queue_job(),
        queue_job(1302, name="a-rather-long-job-name", state="RUNNING", reason="None",
                  started_at=NOW - 5000, planned_start_at=None, epoch=3, plan_reason=None,
                  plan_text=None, expected_mg=None, baseline_mg=None, saved_mg=None,
                  best_mg=None, planned_at=None),
        queue_job(1303, shown_id="1303_[4-999%10]", tasks=996, user="bob", plan_reason="quota",
                  planned_start_at=END_AT, latest_at=None, plan_text="budget used up"),
        queue_job(1304, plan_reason=None, plan_text=None, planned_start_at=None, prediction=None,
                  expected_mg=None, baseline_mg=None, saved_mg=None, reason="Resources",
                  best_mg=None, planned_at=None),
        queue_job(1305, plan_reason="gain-too-small", planned_start_at=NOW, saved_mg=0),
        queue_job(1306, planned_start_at=NOW + 40),
    ]  # fmt: skip
    if hostile:
        jobs += [queue_job(1400 + i, name=name) for i, name in enumerate(HOSTILE_NAMES)]
    return {"now": NOW, "jobs": jobs}


def audit(**changed) -> dict:
    """One cluster's audit, which adds up."""
    listed = [
        {"shown_id": str(1301 + index), "restarts": 0, "user": "bob", "nodes": ["n1", "n2"],
         "state": "NODE_FAIL", "started_at": NOW - 500, "ended_at": NOW - 100,
         "quality": quality, "energy_j": energy_j, "why": why}
        for index, (quality, energy_j, why) in enumerate(
            [("missing", None, "no reading"), *[("partial", 1000, "covered 61 %")] * 2]
        )
    ]  # fmt: skip
    node = {"segments": 12, "measured_j": 500_000, "covered_s": 1800, "last_end_at": NOW}
    made = {
        "cluster": "lab", "adds_up": True, "measured_j": 1_000_000, "jobs_j": 700_000,
        "idle_j": 250_000, "system_j": 30_000, "unclaimed_j": 20_000, "difference_j": 0,
        "uneven_segments": 0, "unknown_j": 5000, "beyond_j": 15_000,
        "nodes": [{**node, "node": "n1", "missing_s": 0, "silent": False},
                  {**node, "node": "n2", "missing_s": 600, "silent": True}],
        "unclaimed_count": 1,
        "unclaimed": [{"job_id": 9, "restarts": 0, "node": "n1", "start_at": NOW - 300,
                       "end_at": NOW, "energy_j": 20_000, "why": "no such job"}],
        "qualities": [{"quality": "measured", "jobs": 20, "energy_j": 698_000},
                      {"quality": "partial", "jobs": 2, "energy_j": 2000},
                      {"quality": "missing", "jobs": 1, "energy_j": 0}],
        "listed_count": 3, "listed": listed, "compared": 23, "mischarged": [],
        "slurm": {"jobs": 3, "implausible": 1, "ratio_median": 0.987, "ratio_low": 0.9,
                  "ratio_high": 1.1},
    }  # fmt: skip
    return {
        "now": NOW, "start_at": START_AT, "end_at": END_AT, "clusters": [{**made, **changed}],
    }  # fmt: skip


def quota() -> dict:
    """Two balances and their grants."""
    return {
        "balances": [
            {"subject": "user:alice", "period": "2026-11", "period_end_at": END_AT,
             "budget_mg": 25_000_000, "granted_mg": 5_000_000, "charged_mg": 12_431_207,
             "reserved_mg": 2_300_000, "remaining_mg": 15_268_793},
            {"subject": "account:physics", "period": "2026-11", "period_end_at": END_AT,
             "budget_mg": 0, "granted_mg": 0, "charged_mg": 12, "reserved_mg": 0,
             "remaining_mg": -12},
        ],
        "grants": [
            {"subject": "user:alice", "period": "2026-11", "mg": 5_000_000, "by": "root",
             "at": NOW - 86_400 * 3, "reason": "revision\x1b[31m of the paper"},
        ],
    }  # fmt: skip


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).astimezone(ZONE).strftime("%Y-%m-%d")


def _sums(jobs: list[dict], key, title: str) -> list[dict]:
    names = sorted({key(one) for one in jobs})
    return [
        {
            title: name,
            "jobs": sum(1 for one in jobs if key(one) == name),
            "energy_j": sum(one["energy_j"] or 0 for one in jobs if key(one) == name),
            "mg": sum(one["mg"] or 0 for one in jobs if key(one) == name),
        }
        for name in names
    ]


def _quality(jobs: list[dict]) -> list[dict]:
    whole = sum(one["elapsed_s"] for one in jobs) or 1
    rows = []
    for quality in ("measured", "sampled", "partial", "modelled", "missing"):
        those = [one for one in jobs if one["quality"] == quality]
        energy = sum(one["energy_j"] or 0 for one in those)
        rows.append({
            "quality": quality, "jobs": len(those),
            "energy_j": None if quality == "missing" else energy,
            "share_pct": 100 * sum(one["elapsed_s"] for one in those) / whole,
        })  # fmt: skip
    return rows


def shadow(**changed) -> dict:
    """Two users' month in shadow mode."""
    alice = {
        "jobs": 12, "reckoned_jobs": 11, "deferred_jobs": 6, "deferred_reckoned_jobs": 5,
        "delay_mean_s": 5 * HOUR, "delay_p95_s": 11 * HOUR, "mg": 2_000_000, "would_mg": 1_500_000,
        "deferred_mg": 1_200_000, "deferred_would_mg": 700_000,
    }  # fmt: skip
    bob = {
        "jobs": 3, "reckoned_jobs": 0, "deferred_jobs": 0, "deferred_reckoned_jobs": 0,
        "delay_mean_s": None, "delay_p95_s": None, "mg": None, "would_mg": None,
        "deferred_mg": None, "deferred_would_mg": None,
    }  # fmt: skip
    total = alice | {"jobs": 15}
    made = {
        "now": NOW, "start_at": START_AT, "end_at": NOW, "clusters": ["lab"], "ended_jobs": 40,
        "total": total, "users": [{"user": "alice", **alice}, {"user": "bob|\x1b[2J", **bob}],
        "not_reckoned": [{"why": "not settled yet", "jobs": 4, "deferred_jobs": 1}],
    }  # fmt: skip
    return {**made, **changed}
