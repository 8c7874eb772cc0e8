"""The daemon: one process with the API, the ticks and the ledger's one writer."""

from __future__ import annotations

import logging
import signal
import socket

import uvicorn
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from carbonsched.bootstrap import CATCH_UP, Application, build
from carbonsched.config.schema import SiteConfig
from carbonsched.errors import ConfigError
from carbonsched.web.app import create_app

GRACE_S = 20
"""How long requests in flight may take once the daemon is asked to stop."""
_LOGGER = logging.getLogger(__name__)


def serve(config: SiteConfig) -> None:
    """Serve the API and run the ticks until SIGTERM or SIGINT.

    Raises:
        ConfigError: the address is taken or not this host's.
        LedgerError: the ledger cannot be opened.
    """
    listener = _listen(config.daemon.listen_host, config.daemon.listen_port)
    application = build(config)
    scheduler = _scheduler(application)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(application.backend, application.munge),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    _stop_on_signals(server)
    scheduler.start()
    _LOGGER.info("serving at %s, ledger in %s", config.daemon.url, config.site.state_dir)
    try:
        server.run(sockets=[listener])
    finally:
        scheduler.shutdown(wait=True)
        application.close()
        _LOGGER.info("stopped")


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Uvicorn hands the signal on once it has served, and the default would end us unclosed."""

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _scheduler(application: Application) -> BackgroundScheduler:
    """A thread for what asks services outside and one for all else: no service delays a plan.

    Ticks of one thread never overlap; late ones run once instead of not at all.
    """
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(1), "fetch": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    # It warns of each turn that is left out; that is told in our words below.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    scheduler.add_listener(_left_out, EVENT_JOB_MAX_INSTANCES)
    for name, period_s in application.periods_s.items():
        run = application.ticks.run
        # A first round at once, in the order in which the ticks feed each other. Nobody waits for a
        # provider's turn yet, and where one hangs, waiting for its thread would stop the others.
        if name != CATCH_UP:
            scheduler.add_job(run, args=[name], id=f"first-{name}")
        executor = "fetch" if name in application.ticks.fetch else "default"
        scheduler.add_job(
            run, "interval", seconds=period_s, args=[name], id=name, executor=executor
        )
    return scheduler


def _left_out(event: JobSubmissionEvent) -> None:
    """A tick that takes longer than its period has its next turn a period later."""
    _LOGGER.info("tick %s takes longer than its period: a turn of it is left out", event.job_id)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            [f"daemon.listen {host}:{port}: {error.strerror}; is another daemon running?"]
        ) from None
    return listener
