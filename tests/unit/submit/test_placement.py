"""csbatch has the daemon choose a place: a stand-in for each side, real credentials."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from carbonsched.submit.script import digest
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import signed_payload

TEXT = "cluster north, it emits least there: about 12 g starting now; lab: about 36 g starting now"
ROWS = [
    {"name": "lab", "zone": "DE", "mg": 36_000, "waiting_cpu_s": 0, "why": None},
    {"name": "north", "zone": "SE", "mg": 12_000, "waiting_cpu_s": 7, "why": None},
]
CHOICE = {"chosen": "north", "text": TEXT, "clusters": ROWS}
LEASE = [b"--begin=now+77", b"--comment=carbonsched/1 lease=77"]
BARE = "#!/bin/sh\n"
"""A script, of which lines of options are no part."""
LEASE_OF_BARE = [LEASE[0], LEASE[1] + f" script={digest(BARE.encode())}".encode()]


class Daemon:
    """Answers placements as a test says, and adoptions with one line."""

    def __init__(self, munge_socket):
        self.answer = (200, CHOICE)
        self.received = {}
        munge = Munge(munge_socket)

        def answer(path, credential, body):
            assert munge.decode(credential).payload == signed_payload("POST", path, body)
            assert path not in self.received
            self.received[path] = json.loads(body)
            return self.answer if path == "/v1/placement" else (200, {"lines": ["planned"]})

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                credential = self.headers["Authorization"].removeprefix("MUNGE ")
                status, document = answer(self.path, credential, body)
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def asked(self):
        return self.received.get("/v1/placement")

    @property
    def told(self):
        return self.received.get("/v1/jobs")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def daemon(munge_socket, place, monkeypatch):
    for name in ("SBATCH_CLUSTERS", "SLURM_CLUSTERS", "SBATCH_TIMELIMIT", "SBATCH_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    daemon = Daemon(munge_socket)
    place.write_site(
        daemon_url=f"http://127.0.0.1:{daemon.server.server_port}",
        munge_socket=munge_socket,
        submit_timeout_s=5.0,
    )
    place.behave("print('Submitted batch job 12 on cluster north')")
    yield daemon
    daemon.stop()


def said(done):
    return [line.removeprefix("csbatch: ") for line in done.stderr.decode().splitlines()]


def test_the_job_goes_to_the_cluster_that_the_daemon_chose(place, daemon):
    done = place.run("--carbon-clusters=lab,north", "-n4", "-t30", "job.sh")
    assert place.words() == [*LEASE, b"--clusters=north", b"-n4", b"-t30", b"job.sh"]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12 on cluster north\n")
    assert said(done) == [TEXT, "planned"]
    size = {"nodes": None, "tasks_per_node": None, "cpus_per_task": None}
    assert daemon.asked["clusters"] == ["lab", "north"]
    assert daemon.asked["here"] == "lab"
    assert daemon.asked["job"] == size | {"name": "job.sh", "tasks": 4, "time_limit_s": 1800}
    assert (daemon.told["cluster"], daemon.told["job_id"]) == ("north", 12)


def test_parsable_output_is_sbatchs_and_its_cluster_is_told(place, daemon):
    place.behave("print('12;north')")
    done = place.run("--carbon-clusters=any", "--parsable", "job.sh")
    assert done.stdout == b"12;north\n"
    assert daemon.asked["clusters"] == []
    assert (daemon.told["cluster"], daemon.told["job_id"]) == ("north", 12)


def test_the_wishes_go_with_the_question(place, daemon):
    (place.folder / "job.sh").write_text(
        "#!/bin/sh\n#SBATCH --time=1:00:00 --gres=gpu:1\n#CARBON --clusters=lab,north --now\n"
    )
    done = place.run("job.sh")
    assert daemon.asked["clusters"] == ["lab", "north"]
    assert daemon.asked["directives"]["start_now"] is True
    assert daemon.asked["job"]["time_limit_s"] == 3600
    assert said(done)[1] == "weighed as 1 CPU for at most 60 min; not counted: --gres"


def test_explain_tells_each_cluster(place, daemon):
    done = place.run("--carbon-explain", "--carbon-clusters=any", "job.sh")
    lines = said(done)
    assert lines[:4] == [
        TEXT,
        "weighed as 1 CPU without a time limit",
        "lab: zone DE, mg 36000, CPU seconds waiting 0",
        "north: zone SE, mg 12000, CPU seconds waiting 7",
    ]
    assert any(line.endswith(" --clusters=north") for line in lines)


@pytest.mark.parametrize(
    ("words", "script", "environment"),
    [
        (["-Mlab"], "", {}),
        (["--clusters", "lab"], "", {}),
        ([], "#SBATCH --clusters=lab\n", {}),
        ([], "", {"SLURM_CLUSTERS": "lab"}),
        ([], "", {"SBATCH_CLUSTERS": "lab"}),
    ],
)
def test_a_cluster_of_the_owners_own_is_left_alone(place, daemon, words, script, environment):
    (place.folder / "job.sh").write_text(BARE + script)
    done = place.run("--carbon-clusters=any", *words, "job.sh", **environment)
    assert place.words() == [*LEASE_OF_BARE, *map(str.encode, words), b"job.sh"]
    assert daemon.asked is None
    assert said(done)[0] == "--clusters=lab is given, so no cluster is chosen"


@pytest.mark.parametrize("in_script", [False, True])
def test_a_job_that_depends_on_others_stays_on_their_cluster(place, daemon, in_script):
    line = "#SBATCH -d afterok:7\n" if in_script else ""
    (place.folder / "job.sh").write_text(BARE + line)
    words = [] if in_script else ["--dependency=afterok:7"]
    done = place.run("--carbon-clusters=any", *words, "job.sh")
    assert place.words() == [*LEASE_OF_BARE, *map(str.encode, words), b"job.sh"]
    assert daemon.asked is None
    assert said(done)[0] == "--dependency names jobs of one cluster, so no cluster is chosen"


def test_without_the_option_nothing_is_asked(place, daemon):
    place.run("job.sh")
    assert daemon.asked is None
    assert daemon.told is not None
    assert place.words() == [*LEASE, b"job.sh"]


def test_quiet_is_quiet(place, daemon):
    place.behave("")
    done = place.run("--carbon-clusters=any", "-Q", "job.sh")
    assert b"--clusters=north" in place.words()
    assert (done.stdout, done.stderr) == (b"", b"")
    done = place.run("--carbon-clusters=any", "-Q", "-Mlab", "job.sh")
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, CHOICE | {"chosen": None, "text": "the job can run on none"}), "can run on none"),
        ((400, {"error": "cluster 'nroth' is not managed here; known: lab"}), "not managed here"),
        ((404, {"error": "Not Found"}), ""),
    ],
)
def test_without_a_choice_the_default_cluster_takes_the_job(place, daemon, answer, reason):
    daemon.answer = answer
    place.behave(place.submitted)
    done = place.run("--carbon-clusters=lab,north", "job.sh")
    assert place.words() == [*LEASE, b"job.sh"]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    warning, *rest = said(done)
    assert warning.startswith("warning: no cluster is chosen: ")
    assert reason in warning
    assert warning.endswith("; sbatch's default cluster takes the job")
    assert rest == ["planned"]
    assert daemon.told["cluster"] == "lab"


@pytest.mark.parametrize(
    "document",
    [
        [], {}, {"chosen": "north"}, CHOICE | {"chosen": 5}, CHOICE | {"chosen": "--wrap=x"},
        CHOICE | {"chosen": "west"}, CHOICE | {"text": None}, CHOICE | {"clusters": None},
    ],
)  # fmt: skip
def test_an_answer_that_is_none_never_reaches_sbatch(place, daemon, document):
    daemon.answer = (200, document)
    done = place.run("--carbon-clusters=lab,north", "job.sh")
    assert place.words() == [*LEASE, b"job.sh"]
    assert done.returncode == 0
    (line,) = said(done)
    assert line.startswith("warning: no cluster is chosen and no plan made: the daemon")


def test_without_a_daemon_there_is_exactly_one_warning(place):
    done = place.run("--carbon-clusters=lab,north", "job.sh")
    assert place.words() == [*LEASE, b"job.sh"]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    (line,) = said(done)
    assert line.startswith("warning: no cluster is chosen and no plan made: munged at ")
    assert line.endswith(
        "; sbatch's default cluster takes the job, and it starts when its lease of 77 s ends"
    )


def test_a_daemon_that_never_answers_is_asked_once(place, munge_socket):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        place.write_site(daemon_url=url, munge_socket=munge_socket, submit_timeout_s=2.0)
        began = time.monotonic()
        done = place.run("--carbon-clusters=lab,north", "job.sh")
        assert time.monotonic() - began < 3.8
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    assert len(said(done)) == 1


def test_without_a_site_file_it_is_sbatch_and_one_warning(place):
    place.site.unlink()
    done = place.run("--carbon-clusters=lab,north", "job.sh")
    assert place.words() == [b"job.sh"]
    assert len(said(done)) == 1


@pytest.mark.parametrize("value", ["", ",", "lab,", "any,lab", "lab north", "-x", "lab;x"])
def test_a_value_that_names_no_cluster_submits_nothing(place, value):
    for word in ("job.sh", "--version"):
        done = place.run(f"--carbon-clusters={value}", word)
        assert done.returncode == 64
        assert "write lab,north for some, any for all" in said(done)[0]
        assert not (place.folder / "words").exists()


OLD_OR_NEW = "--carbon-partitions=old,new"
PART_TEXT = "partition new, it emits least there: about 12 g starting now; old: about 36 g"
PART_ROWS = [
    {"name": "old", "zone": "DE", "mg": 36_000, "waiting_cpu_s": 0, "basis": "as declared"},
    {"name": "new", "zone": "DE", "mg": 12_000, "waiting_cpu_s": 7, "basis": "by 3 earlier jobs"},
]
PARTITION = {"chosen": "new", "text": PART_TEXT, "partitions": PART_ROWS}


@pytest.fixture
def parts(daemon, place):
    daemon.answer = (200, PARTITION)
    place.behave(place.submitted)
    return daemon


def test_the_job_goes_to_the_partition_that_the_daemon_chose(place, parts):
    done = place.run(OLD_OR_NEW, "-n4", "-t30", "job.sh")
    assert place.words() == [*LEASE, b"--partition=new", b"-n4", b"-t30", b"job.sh"]
    assert (done.returncode, done.stdout) == (0, b"Submitted batch job 12\n")
    assert said(done) == [PART_TEXT, "planned"]
    assert parts.asked["partitions"] == ["old", "new"]
    assert "clusters" not in parts.asked
    assert parts.asked["here"] == "lab"
    assert (parts.told["cluster"], parts.told["job_id"]) == ("lab", 12)


def test_partitions_in_the_script_and_explained(place, parts):
    (place.folder / "job.sh").write_text("#!/bin/sh\n#CARBON --partitions=old,new\n")
    done = place.run("--carbon-explain", "job.sh")
    assert said(done)[1:4] == [
        "weighed as 1 CPU without a time limit",
        "old: zone DE, mg 36000, power as declared, CPU seconds waiting 0",
        "new: zone DE, mg 12000, power by 3 earlier jobs, CPU seconds waiting 7",
    ]


def test_partitions_are_of_the_cluster_that_the_owner_names(place, parts):
    place.behave("print('Submitted batch job 12 on cluster north')")
    place.run(OLD_OR_NEW, "-M", "north", "job.sh")
    assert parts.asked["here"] == "north"
    assert place.words() == [*LEASE, b"--partition=new", b"-M", b"north", b"job.sh"]


@pytest.mark.parametrize(
    ("words", "script", "environment"),
    [
        (["-pold"], "", {}),
        (["--partition", "old"], "", {}),
        ([], "#SBATCH -p old\n", {}),
        ([], "", {"SBATCH_PARTITION": "old"}),
    ],
)
def test_a_partition_of_the_owners_own_is_left_alone(place, parts, words, script, environment):
    (place.folder / "job.sh").write_text(BARE + script)
    done = place.run(OLD_OR_NEW, *words, "job.sh", **environment)
    assert place.words() == [*LEASE_OF_BARE, *map(str.encode, words), b"job.sh"]
    assert parts.asked is None
    assert said(done)[0] == "--partition=old is given, so no partition is chosen"


def test_each_part_of_a_heterogeneous_job_keeps_its_partition(place, parts):
    done = place.run(OLD_OR_NEW, "-n1", ":", "-n2", "job.sh")
    assert parts.asked is None
    assert place.words() == [*LEASE, b"-n1", b":", b"-n2", b"job.sh"]
    assert said(done)[0].endswith("has a partition of its own, so no partition is chosen")


def test_a_dependency_does_not_bind_to_a_partition(place, parts):
    place.run(OLD_OR_NEW, "--dependency=afterok:7", "job.sh")
    assert b"--partition=new" in place.words()


@pytest.mark.parametrize(
    "answer",
    [
        (200, PARTITION | {"chosen": None, "text": "the job can run on none"}),
        (400, {"error": "cluster 'lab' is not managed here"}),
        (200, PARTITION | {"chosen": "other"}),
        (200, CHOICE),
    ],
)
def test_without_a_choice_slurm_is_given_all_partitions(place, parts, answer):
    parts.answer = answer
    done = place.run(OLD_OR_NEW, "job.sh")
    assert place.words() == [*LEASE, b"--partition=old,new", b"job.sh"]
    warning = said(done)[0]
    assert warning.startswith("warning: no partition is chosen")
    assert "; Slurm takes one of all that were named (--partition=old,new)" in warning


def test_without_a_daemon_slurm_is_given_all_partitions(place):
    done = place.run(OLD_OR_NEW, "job.sh")
    assert place.words() == [*LEASE, b"--partition=old,new", b"job.sh"]
    (line,) = said(done)
    assert line.startswith("warning: no partition is chosen and no plan made: munged at ")
    assert line.endswith(
        "; Slurm takes one of all that were named (--partition=old,new), and it starts when its"
        " lease of 77 s ends"
    )


def test_without_a_site_file_slurm_is_given_all_partitions(place):
    place.site.unlink()
    done = place.run(OLD_OR_NEW, "job.sh")
    assert place.words() == [b"--partition=old,new", b"job.sh"]
    assert len(said(done)) == 1


@pytest.mark.parametrize("value", ["", ",", "old,", "any", "any,old", "old new", "-x", "old;x"])
def test_a_value_that_names_no_partition_submits_nothing(place, value):
    done = place.run(f"--carbon-partitions={value}", "job.sh")
    assert done.returncode == 64
    assert "names no partitions; write two or more, as old,new" in said(done)[0]
    assert not (place.folder / "words").exists()


def test_clusters_and_partitions_cannot_go_together(place):
    done = place.run(OLD_OR_NEW, "--carbon-clusters=any", "job.sh")
    assert done.returncode == 64
    (line,) = said(done)
    assert "--carbon-clusters and --carbon-partitions cannot go together" in line
    assert not (place.folder / "words").exists()


def test_the_command_lines_kind_of_place_wins_over_the_scripts(place, parts):
    (place.folder / "job.sh").write_text("#!/bin/sh\n#CARBON --clusters=any\n")
    place.run(OLD_OR_NEW, "job.sh")
    assert b"--partition=new" in place.words()
