"""The backend's process as the plugin sees it: find it, start it, talk to it. Standard library only."""
