"""The decisions of a daemon as pure functions: events in, effects out."""
