"""What a client of the cluster does, without a terminal: reads, commands, and waiting for what follows."""
