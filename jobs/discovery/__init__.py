"""The rounds of `discover`: where instances are, by a file or by a cluster."""
