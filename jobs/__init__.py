"""The room of the scheduled commands: discover, collect, classify, store."""
