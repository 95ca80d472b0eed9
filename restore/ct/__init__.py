"""Classical reconstruction of CT scans: functions on torch tensors."""

from restore.ct.fbp import FILTERS, parallel_fbp
from restore.ct.iterative import sirt

__all__ = ["FILTERS", "parallel_fbp", "sirt"]
