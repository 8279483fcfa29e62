"""`python -m backend`: what the `ronda` script runs."""

from backend.cli import main

main()
