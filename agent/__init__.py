"""The room that runs in every instance: it measures, reports on :8080, and owns the wire contract."""

__version__ = "0.1.0"
