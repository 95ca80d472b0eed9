"""What MRI needs besides its operators: sampling, coils, noise, classical reconstructions."""
