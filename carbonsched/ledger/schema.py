"""The tables, as migrations: each is applied once, in order, and never edited afterwards.

Times are epoch seconds, energy whole joules, mass whole milligrams. STRICT tables refuse values of
another type. A job is always named by all four columns of its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils import Migrations

from carbonsched.ledger.packing import pack
from carbonsched.model.intensity import Point

if TYPE_CHECKING:
    from sqlite_utils import Database

migrations = Migrations("carbonsched")

_INITIAL = (
    """
    CREATE TABLE jobs (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL,
      uid INTEGER NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL, partition TEXT NOT NULL,
      name TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
      node_count INTEGER NOT NULL, cpus INTEGER NOT NULL, nodes TEXT NOT NULL,
      time_limit_s INTEGER, eligible_at INTEGER, started_at INTEGER, ended_at INTEGER,
      deadline_at INTEGER, comment TEXT NOT NULL, admin_comment TEXT NOT NULL,
      array_job_id INTEGER, array_task TEXT, het_job_id INTEGER, tasks INTEGER NOT NULL,
      directives TEXT, begin_at INTEGER,
      first_seen_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts)
    ) STRICT
    """,
    "CREATE INDEX jobs_by_user ON jobs (user, submitted_at)",
    "CREATE INDEX jobs_open ON jobs (cluster, ended_at, seen_at)",
    """
    CREATE TABLE segments (
      id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, node TEXT NOT NULL,
      start_at INTEGER NOT NULL, end_at INTEGER NOT NULL, total_j INTEGER NOT NULL,
      quality TEXT NOT NULL, meter TEXT NOT NULL, digest TEXT NOT NULL,
      received_at INTEGER NOT NULL,
      UNIQUE (cluster, node, start_at), CHECK (end_at > start_at)
    ) STRICT
    """,
    """
    CREATE TABLE parts (
      segment_id INTEGER NOT NULL REFERENCES segments (id), cluster TEXT NOT NULL,
      kind TEXT NOT NULL, job_id INTEGER, restarts INTEGER, uid INTEGER,
      energy_j INTEGER NOT NULL CHECK (energy_j >= 0),
      cpu_ms INTEGER NOT NULL, present_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX parts_by_segment ON parts (segment_id)",
    "CREATE INDEX parts_by_job ON parts (cluster, job_id, restarts) WHERE job_id IS NOT NULL",
    """
    CREATE TABLE epochs (
      cluster TEXT NOT NULL, node TEXT NOT NULL, job_id INTEGER NOT NULL,
      restarts INTEGER NOT NULL, uid INTEGER NOT NULL, epoch INTEGER NOT NULL, epochs INTEGER,
      started_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, energy_millij INTEGER NOT NULL,
      relative_sd REAL, samples INTEGER NOT NULL, quality TEXT NOT NULL,
      received_at INTEGER NOT NULL,
      UNIQUE (cluster, node, job_id, restarts, epoch, started_ms)
    ) STRICT
    """,
    """
    CREATE TABLE series (
      id INTEGER PRIMARY KEY, provider TEXT NOT NULL, zone TEXT NOT NULL, kind TEXT NOT NULL,
      basis TEXT NOT NULL, gas TEXT NOT NULL, scope TEXT NOT NULL, static INTEGER NOT NULL,
      note TEXT NOT NULL, UNIQUE (provider, zone, kind, basis, gas, scope, static, note)
    ) STRICT
    """,
    """
    CREATE TABLE intensities (
      series_id INTEGER NOT NULL REFERENCES series (id), start_at INTEGER NOT NULL,
      end_at INTEGER NOT NULL, mg_per_kwh INTEGER NOT NULL, fetched_at INTEGER NOT NULL,
      PRIMARY KEY (series_id, start_at, fetched_at)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE forecasts (
      id INTEGER PRIMARY KEY, series_id INTEGER NOT NULL REFERENCES series (id),
      issued_at INTEGER NOT NULL, fetched_at INTEGER NOT NULL, UNIQUE (series_id, issued_at)
    ) STRICT
    """,
    """
    CREATE TABLE forecast_points (
      forecast_id INTEGER NOT NULL REFERENCES forecasts (id), start_at INTEGER NOT NULL,
      end_at INTEGER NOT NULL, mg_per_kwh INTEGER NOT NULL, PRIMARY KEY (forecast_id, start_at)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE predictions (
      id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, job_id INTEGER NOT NULL,
      submitted_at INTEGER NOT NULL, restarts INTEGER NOT NULL, made_at INTEGER NOT NULL,
      source TEXT NOT NULL, samples INTEGER NOT NULL, duration_s INTEGER NOT NULL,
      duration_low_s INTEGER NOT NULL, duration_high_s INTEGER NOT NULL,
      energy_j INTEGER NOT NULL, energy_low_j INTEGER NOT NULL, energy_high_j INTEGER NOT NULL,
      method TEXT NOT NULL, explanation TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX predictions_by_job ON predictions (cluster, job_id, submitted_at, restarts, id)",
    """
    CREATE TABLE plans (
      id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, job_id INTEGER NOT NULL,
      submitted_at INTEGER NOT NULL, restarts INTEGER NOT NULL, made_at INTEGER NOT NULL,
      start_at INTEGER NOT NULL, baseline_at INTEGER NOT NULL, latest_at INTEGER NOT NULL,
      reason TEXT NOT NULL, text TEXT NOT NULL, expected_mg INTEGER, baseline_mg INTEGER,
      forecast_issued_at INTEGER, provider TEXT
    ) STRICT
    """,
    "CREATE INDEX plans_by_job ON plans (cluster, job_id, submitted_at, restarts, id)",
    """
    CREATE TABLE entries (
      id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL,
      period TEXT NOT NULL, origin TEXT NOT NULL, mg INTEGER NOT NULL, energy_j INTEGER NOT NULL,
      idempotency_key TEXT NOT NULL UNIQUE, provenance TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX entries_by_job ON entries (cluster, job_id, submitted_at, restarts)",
    "CREATE INDEX entries_by_user ON entries (period, user)",
    "CREATE INDEX entries_by_account ON entries (period, account)",
    """
    CREATE TRIGGER entries_are_append_only_1 BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END
    """,
    """
    CREATE TRIGGER entries_are_append_only_2 BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never removed'); END
    """,
    """
    CREATE TABLE grants (
      id INTEGER PRIMARY KEY, at INTEGER NOT NULL, subject TEXT NOT NULL, period TEXT NOT NULL,
      mg INTEGER NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE settlements (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, settled_at INTEGER NOT NULL, energy_j INTEGER, mg INTEGER,
      quality TEXT NOT NULL, coverage REAL, provisional INTEGER NOT NULL, final INTEGER NOT NULL,
      mg_per_kwh INTEGER, pue_ppm INTEGER NOT NULL, sources TEXT NOT NULL, saved_mg INTEGER,
      baseline_at INTEGER, cpu_ms INTEGER NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts)
    ) STRICT
    """,
)


@migrations()
def m0001_initial(db: Database) -> None:
    """Jobs, readings, intensities, predictions, plans, entries, grants, settlements."""
    for statement in _INITIAL:
        db.conn.execute(statement)


_METERING = (
    "ALTER TABLE jobs ADD COLUMN slurm_energy_j INTEGER",
    "ALTER TABLE parts ADD COLUMN node_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE parts ADD COLUMN quality TEXT",
    "ALTER TABLE parts ADD COLUMN uncertainty_j INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE parts ADD COLUMN domains TEXT NOT NULL DEFAULT '{}'",
    "CREATE INDEX segments_by_start ON segments (cluster, start_at)",
    "ALTER TABLE settlements ADD COLUMN embodied_mg INTEGER",
    "ALTER TABLE settlements ADD COLUMN uncertainty_j INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE settlements ADD COLUMN domains TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE settlements ADD COLUMN pue_source TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE settlements ADD COLUMN why TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE settlements ADD COLUMN method TEXT NOT NULL DEFAULT 'settle/1'",
    """
    CREATE TABLE pues (
      cluster TEXT NOT NULL, start_at INTEGER NOT NULL, end_at INTEGER NOT NULL,
      pue_ppm INTEGER NOT NULL, source TEXT NOT NULL, fetched_at INTEGER NOT NULL,
      PRIMARY KEY (cluster, start_at, end_at, fetched_at), CHECK (end_at > start_at)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX pues_by_end ON pues (cluster, end_at)",
    """
    CREATE TABLE lost_ends (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, node TEXT NOT NULL, ended_at INTEGER NOT NULL,
      told_at INTEGER NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts, node)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX lost_ends_by_end ON lost_ends (cluster, ended_at)",
)


@migrations()
def m0002_metering(db: Database) -> None:
    """Parts by domain with a quality of their own; PUE over time; what Slurm itself metered.

    Ends that nodes missed and were told have a table too.

    What is there keeps its meaning: a part without a quality of its own has its segment's, and
    ``{}`` says that its domains were not told.
    """
    for statement in _METERING:
        db.conn.execute(statement)


_INTENSITY = (
    "ALTER TABLE intensities ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE series ADD COLUMN longest_s INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE series SET longest_s = COALESCE(
      (SELECT MAX(end_at - start_at) FROM intensities WHERE series_id = series.id), 0)
    """,
    "ALTER TABLE forecasts ADD COLUMN points BLOB",
    "ALTER TABLE forecasts ADD COLUMN same_as INTEGER REFERENCES forecasts (id)",
    "ALTER TABLE forecasts ADD COLUMN first_at INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE forecasts ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX forecasts_by_same ON forecasts (same_as) WHERE same_as IS NOT NULL",
    "ALTER TABLE settlements ADD COLUMN complete INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE settlements ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0",
    "UPDATE settlements SET complete = final",
)


@migrations()
def m0003_intensity(db: Database) -> None:
    """Estimated flags; forecasts as one value each; whether all of a job is in and priced."""
    for statement in _INTENSITY:
        db.conn.execute(statement)
    for (number,) in db.conn.execute("SELECT id FROM forecasts").fetchall():
        rows = db.conn.execute(
            "SELECT start_at, end_at, mg_per_kwh FROM forecast_points WHERE forecast_id = ?"
            " ORDER BY start_at",
            (number,),
        )
        points = tuple(Point(*row) for row in rows)
        db.conn.execute(
            "UPDATE forecasts SET points = ?, first_at = ? WHERE id = ?",
            (pack(points, None), points[0].start_at if points else 0, number),
        )
    db.conn.execute("DROP TABLE forecast_points")


@migrations()
def m0004_plans(db: Database) -> None:
    """Whether a plan was only kept, and what the cleanest start would have weighed."""
    db.conn.execute("ALTER TABLE plans ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("ALTER TABLE plans ADD COLUMN best_mg INTEGER")
    db.conn.execute("CREATE INDEX plans_by_shadow ON plans (cluster, start_at) WHERE shadow")


_STOPS = (
    """
    CREATE TABLE stops (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
      changed_at INTEGER NOT NULL, first_submitted_at INTEGER NOT NULL, done_s INTEGER NOT NULL,
      left_s INTEGER NOT NULL, note TEXT NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX stops_under_way ON stops (cluster)
    WHERE state IN ('signalling', 'signalled', 'requeueing')
    """,
)


@migrations()
def m0005_stops(db: Database) -> None:
    """Runs that were told to stop, so that their jobs go on in cleaner windows."""
    for statement in _STOPS:
        db.conn.execute(statement)


@migrations()
def m0006_parts_of_epochs(db: Database) -> None:
    """What an epoch's equal numbers of steps took, as JSON."""
    db.conn.execute("ALTER TABLE epochs ADD COLUMN steps INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("ALTER TABLE epochs ADD COLUMN parts TEXT NOT NULL DEFAULT '[]'")


_BUDGETS = (
    """
    CREATE TABLE budgets (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
      changed_at INTEGER NOT NULL, budget_mg INTEGER NOT NULL, used_mg INTEGER NOT NULL,
      predicted_mg INTEGER, note TEXT NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX budgets_under_way ON budgets (cluster)
    WHERE state IN ('signalling', 'signalled', 'ending')
    """,
    """
    CREATE TABLE pilots (
      cluster TEXT NOT NULL, job_id INTEGER NOT NULL, submitted_at INTEGER NOT NULL,
      restarts INTEGER NOT NULL, decided_at INTEGER NOT NULL, stopped INTEGER NOT NULL,
      note TEXT NOT NULL,
      PRIMARY KEY (cluster, job_id, submitted_at, restarts)
    ) STRICT, WITHOUT ROWID
    """,
)


@migrations()
def m0007_budgets(db: Database) -> None:
    """Runs whose jobs' budgets do not last; what was decided on pilots after their first epoch."""
    for statement in _BUDGETS:
        db.conn.execute(statement)


@migrations()
def m0008_quartiles(db: Database) -> None:
    """The 50 % interval of a prediction; older ones have none."""
    for name in ("duration_p25_s", "duration_p75_s", "energy_p25_j", "energy_p75_j"):
        db.conn.execute(f"ALTER TABLE predictions ADD COLUMN {name} INTEGER")


@migrations()
def m0009_costs_of_stops(db: Database) -> None:
    """How much longer a job was reckoned to run for its stop; of earlier stops it is not known."""
    db.conn.execute("ALTER TABLE stops ADD COLUMN cost_s INTEGER")


_SUMS = (
    "ALTER TABLE settlements ADD COLUMN exact_mg TEXT",
    "ALTER TABLE settlements ADD COLUMN priced_j INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE settlements ADD COLUMN last_part INTEGER NOT NULL DEFAULT 0",
)


@migrations()
def m0010_sums_of_settlements(db: Database) -> None:
    """The exact sum behind a settlement, and up to which part of a segment it goes.

    What arrives later can be added to it. Of settlements from before it is not known.
    """
    for statement in _SUMS:
        db.conn.execute(statement)


_GPU_LIMITS = (
    "ALTER TABLE epochs ADD COLUMN gpu_limit_w INTEGER",
    "CREATE INDEX epochs_by_start ON epochs (cluster, started_ms)",
)


@migrations()
def m0011_epochs_by_job(db: Database) -> None:
    """A job's epochs are asked for in each tick, and there may be millions of them."""
    db.conn.execute("CREATE INDEX epochs_by_job ON epochs (cluster, job_id, restarts)")


@migrations()
def m0012_gpu_limits(db: Database) -> None:
    """The power limit of a job's GPUs during an epoch; where it was not told it is not known."""
    for statement in _GPU_LIMITS:
        db.conn.execute(statement)
