"""`python -m archgym` is the command `archgym`."""

from archgym.cli import main

main()
