"""Slurm's own files. What matters to carbonsched says so beside it."""

from __future__ import annotations

from string import Template

SLURM_CONF = Template("""\
ClusterName=$cluster
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$slurmctld_port
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=$munge_socket
CredType=cred/munge
StateSaveLocation=$directory/state
SlurmdSpoolDir=$directory/slurmd/%n
SlurmctldPidFile=$directory/state/slurmctld.pid
SlurmdPidFile=$directory/slurmd/%n.pid
MailProg=/bin/true
MpiDefault=none
ReturnToService=2

# A node may claim more processors than the host has; a real site leaves this out.
SlurmdParameters=config_overrides

# Jobs in control groups: the agent reads their CPU time there.
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/cgroup
JobAcctGatherFrequency=task=5

# Accounting through slurmdbd; the comment of a job carries csbatch's mark. The "pass" is how
# clients of slurmdbd learn of another munge socket: they do not look at AuthInfo.
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$slurmdbd_port
AccountingStoragePass=$munge_socket
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment

# The hooks. Alloc: the prolog runs on every node when the job begins, not at its first step.
PrologFlags=Alloc
PrologEpilogTimeout=30
$hooks

# Cores are shared between jobs of one node; first come, first served, looked at every second.
SelectType=select/cons_tres
SelectTypeParameters=$resources
PriorityType=priority/basic
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
JobRequeue=1
KillWait=5
MinJobAge=300
InactiveLimit=0

$nodes
PartitionName=main Nodes=$node_list Default=YES MaxTime=INFINITE DefaultTime=01:00:00 State=UP
$partitions
$extra
""")

NODE = Template(
    "NodeName=$name NodeHostname=127.0.0.1 NodeAddr=127.0.0.1 Port=$port"
    " CPUs=$cpus RealMemory=$memory_mb$gres State=UNKNOWN"
)

PARTITION = Template("PartitionName=$name Nodes=$nodes MaxTime=$max_time State=$state")

# GPUs that are not there: Slurm wants a device for each, of which it uses the number alone.
GPUS = "GresTypes=gpu\nAccountingStorageTRES=gres/gpu"
GRES_CONF = Template("NodeName=$name Name=gpu File=$devices/gpu[0-$last]\n")

SLURMDBD_CONF = Template("""\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$slurmdbd_port
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=$munge_socket
PidFile=$directory/state/slurmdbd.pid
ArchiveDir=$directory/state
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
""")

CGROUP_CONF = Template("""\
CgroupPlugin=cgroup/v$version
ConstrainCores=no
ConstrainRAMSpace=$constrain_memory
$extra
""")

# In a container without systemd slurmd makes its groups of version 2 itself.
CGROUP_V2_ALONE = "IgnoreSystemd=yes\nEnableControllers=yes"
