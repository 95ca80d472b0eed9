"""Samplers of the reverse SDE and of the probability-flow ODE, in VE coordinates."""
