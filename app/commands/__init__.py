"""The subcommands of ``spikelens``, one module a group."""
