"""Training of score priors by denoising."""
