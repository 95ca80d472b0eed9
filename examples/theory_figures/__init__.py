"""The figures of the chapter on the theory, one module for each page."""
