"""The command line: its commands, options, progress and exit codes."""
