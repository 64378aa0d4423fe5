"""`python -m switchpoint.command`: the command, as installed."""

from switchpoint.command.cli.main import main

if __name__ == "__main__":
    main()
