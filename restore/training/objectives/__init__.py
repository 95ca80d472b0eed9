"""Objectives of score matching: what a network is asked for, and how its errors are weighed."""
