"""carbonsched on a lab cluster: its configuration, its daemon, an agent on each node.

The demonstration and the integration tests run the same stack. Time can be compressed: the replay
provider lets each recorded hour last some seconds, and slots, segments and ticks follow.
"""

from .settings import REACH_S, StackSettings
from .stack import SITE_FILE, AgentExtras, OtherCluster, Stack

__all__ = ["REACH_S", "SITE_FILE", "AgentExtras", "OtherCluster", "Stack", "StackSettings"]
