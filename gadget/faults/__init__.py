"""Faults on purpose: what goes wrong between a camera and its host, each named, each repeatable."""
