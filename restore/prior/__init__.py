"""Score priors: everything that yields D(x, σ) = E[x₀ | x₀ + σ n = x]."""
