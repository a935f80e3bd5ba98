"""What the API says: the fleet in, plain JSON values out. Pure; no body holds a running age."""
