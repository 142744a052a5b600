"""Everything that owns a file descriptor, a thread or a clock: transports, tools, the command line."""
