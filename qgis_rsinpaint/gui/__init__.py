"""Windows of the plugin: they fill in and start algorithms, and show settings."""
