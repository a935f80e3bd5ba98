"""The SQLite store: schema, lease, writer, reader."""
