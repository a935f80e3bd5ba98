"""A real, tiny instance of ours: QEMU, PulseAudio, a bridge with a tap, and the agent."""
