"""How long a job will run and what energy it will use, always with 50 and 90 % intervals."""

from carbonsched.prediction.choice import choose
from carbonsched.prediction.epochs import EarlierTraining, from_epochs
from carbonsched.prediction.history import PastRun, from_history
from carbonsched.prediction.limits import PowerRange, from_limits, power_range
from carbonsched.prediction.rest import OneJob, as_one, rest_of

__all__ = [
    "EarlierTraining",
    "OneJob",
    "PastRun",
    "PowerRange",
    "as_one",
    "choose",
    "from_epochs",
    "from_history",
    "from_limits",
    "power_range",
    "rest_of",
]
