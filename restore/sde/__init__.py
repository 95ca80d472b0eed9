"""Score-based modelling through differential equations, in VE coordinates."""
