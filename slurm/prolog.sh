#!/bin/sh
# carbonsched's prolog for slurmd: tells the node's agent that a job begins here.
#
# It writes one small file and nothing else: no other program is started, Slurm is not asked, and
# whatever happens it exits 0, because a prolog that fails drains the node. If the spool is not
# there, or cannot be written, the job starts all the same and the agent finds it by its control
# group. slurm.conf: Prolog=/path/to/prolog.sh, PrologFlags=Alloc.
SPOOL=/var/spool/carbonsched

EVENT=begin
newline='
'
text=

add() { # add NAME VALUE: one line of the file; a value ends at its first newline
	text="$text$1=${2%%"$newline"*}$newline"
}

case ${SLURMD_NODENAME:-} in '' | .* | */*) exit 0 ;; esac
case ${SLURM_JOB_ID:-} in '' | *[!0-9]*) exit 0 ;; esac
restarts=${SLURM_JOB_RESTART_COUNT:-0}
case $restarts in *[!0-9]*) restarts=0 ;; esac
events=$SPOOL/$SLURMD_NODENAME/events
[ -d "$events" ] || exit 0

add cluster "${SLURM_CLUSTER_NAME:-}"
add node "$SLURMD_NODENAME"
add job_id "$SLURM_JOB_ID"
add restarts "$restarts"
add uid "${SLURM_JOB_UID:-${SLURM_UID:-}}"
add user "${SLURM_JOB_USER:-}"
add nodelist "${SLURM_JOB_NODELIST:-${SLURM_NODELIST:-}}"
add cpus_per_node "${SLURM_JOB_CPUS_PER_NODE:-}"
add ntasks "${SLURM_JOB_NTASKS:-}"
add gpus "${SLURM_JOB_GPUS:-}"

# The agent takes the file once its last line is there; its modification time is the event's.
# It is never written over or through another, and a limit on file sizes must not end this shell.
set -C
umask 077
command trap '' XFSZ 2>/dev/null
{ printf '%send\n' "$text" >"$events/$EVENT.$SLURM_JOB_ID.$restarts.$$"; } 2>/dev/null
exit 0
