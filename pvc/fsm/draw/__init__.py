"""Pictures and documents of the state machines, built from their rows: strings in, strings out, no I/O."""
