"""Conformance runs for people: ways to a camera, progress, and reports as JSON, JUnit and HTML."""
