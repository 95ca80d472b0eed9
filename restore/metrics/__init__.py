"""Quality measures of a restored picture and an estimate of its noise."""
