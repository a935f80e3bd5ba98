"""The read-only room: it serves what the store knows."""
