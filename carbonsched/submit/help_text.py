"""What ``csbatch --carbon-help`` prints."""

from __future__ import annotations

HELP = """\
usage: csbatch [--carbon-OPTION ...] [sbatch's own words ...]

Submits a job as sbatch does and lets carbonsched start it when the grid is
clean, within the bounds given here. Options of csbatch come first; everything
after them goes to sbatch unchanged (csbatch --help shows sbatch's help).

  --carbon-max-delay=6h      start at most this long after submission
                             (90min, 6h, 1d12h; 0 forbids any delay)
  --carbon-deadline=TIME     be done by then: 07:30, now+8h, 2026-11-22T07:30
  --carbon-now               do not delay; the job is still accounted
  --carbon-epochs=90         how many epochs the training will run
  --carbon-validate-every=5  every fifth epoch does more, such as validation
  --carbon-checkpoint        the job writes a checkpoint when it gets a signal
                             (USR1): it may be stopped and go on later
  --carbon-pilot             start at once for the first epoch, then be planned
                             by it: with --carbon-checkpoint it may be stopped
  --carbon-budget=100g       end the job when it has emitted so much (g, kg):
                             it gets a signal and time to write a checkpoint
  --carbon-campaign=NAME     gather the job under a name in reports
  --carbon-clusters=A,B      submit to that cluster of these on which the job
                             should emit least (any: of all that the site has)
  --carbon-partitions=P,Q    submit to that partition of these on which the
                             job should emit least
  --carbon-explain           print more of the reasoning
  --carbon-help              show this

The same, but for the last two, may stand in the script beside #SBATCH lines;
the command line wins over them:

  #CARBON --max-delay=6h --campaign=thesis

examples:
  csbatch train.sh
  csbatch --carbon-max-delay=12h --carbon-epochs=90 --gres=gpu:1 train.sh
  csbatch --carbon-pilot --carbon-checkpoint --carbon-max-delay=1d train.sh
  csbatch --carbon-deadline=07:30 --wrap './night-run'
  job=$(csbatch --carbon-now --parsable prepare.sh)
"""
