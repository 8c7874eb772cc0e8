#!/bin/sh
# carbonsched's prolog for slurmd: tells the node's agent that a job begins here.
#
# It writes one small file and asks nobody, and whatever happens it exits 0 within two seconds,
# because a prolog that fails drains the node and one that hangs holds up the job. If the spool
# is not there, or cannot be written, the job starts all the same and the agent finds it by its
# control group. slurm.conf: Prolog=/path/to/prolog.sh, PrologFlags=Alloc.
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
file=$SPOOL/$SLURMD_NODENAME/events/$EVENT.$SLURM_JOB_ID.$restarts.$$
exec 2>/dev/null
trap 'exit 0' EXIT # also if no process can be made

# The event's time: the file's own is late if the disk is slow, and wrong if the clock is set.
uptime='' boot=''
{ read -r uptime _; } </proc/uptime
{ read -r boot; } </proc/sys/kernel/random/boot_id

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
add visible "${CUDA_VISIBLE_DEVICES:-${ROCR_VISIBLE_DEVICES:-${ZE_AFFINITY_MASK:-}}}"
add sluid "${SLURM_JOB_SLUID:-}"
add uptime "$uptime"
add boot "$boot"

# A disk that hangs holds whoever touches it, even against SIGKILL. So a child writes, and this
# shell waits for a sleep, which the child ends early. Neither has slurmd's pipe, for whose end
# slurmd waits.
PATH=/usr/bin:/bin
sleep 1.8 >/dev/null &
patience=$!
{
	# The agent takes the file once its last line is there. It is never written over or through
	# another, and a limit on file sizes must not end this shell.
	set -C
	umask 077
	command trap '' XFSZ
	[ -d "${file%/*}" ] && printf '%send\n' "$text" >"$file"
	kill -KILL "$patience"
} >/dev/null &
wait "$patience"
exit 0
