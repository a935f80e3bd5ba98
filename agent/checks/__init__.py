"""One question a file: each check measures one block of the report and never raises past `collect`."""
