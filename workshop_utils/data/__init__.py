"""Fetch, verify, stream and simulate the data of the course."""
