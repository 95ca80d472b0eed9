"""The command line `restore`. Its modules import nothing heavy until a command runs."""
