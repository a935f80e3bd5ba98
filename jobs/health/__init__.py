"""Pure health logic: no I/O, no clock, no randomness; values in, values out."""
