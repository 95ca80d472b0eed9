"""Network architectures, one module a family."""
