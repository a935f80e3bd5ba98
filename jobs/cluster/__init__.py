"""The only room that knows Kubernetes; plain dicts go in and come out, and no exception of its client leaves."""
