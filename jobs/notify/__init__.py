"""What leaves the system for people: letters about incidents, to Alertmanager and to a webhook."""
