"""What people see in a browser: pages as HTML that work without script."""
