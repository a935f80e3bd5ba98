"""The only room that dials instances: reports over HTTP, connectivity over RFB."""
