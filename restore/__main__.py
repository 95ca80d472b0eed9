"""`python -m restore`: the command line, where its script is not on the path."""

from restore.cli.main import main

if __name__ == "__main__":
    main()
