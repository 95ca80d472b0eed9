"""Classical reconstruction of CT scans: functions on torch tensors."""

from restore.ct.fan_fbp import fan_fbp
from restore.ct.fbp import FILTERS, parallel_fbp
from restore.ct.iterative import sirt

__all__ = ["FILTERS", "fan_fbp", "parallel_fbp", "sirt"]
