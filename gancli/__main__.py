"""`python -m gancli` is `gan`."""

from gancli.cli.main import main

main()
