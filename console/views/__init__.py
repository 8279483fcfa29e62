"""All formatting: plain strings and numbers made ready, so that templates do no arithmetic."""
