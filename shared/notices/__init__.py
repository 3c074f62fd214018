"""Channels: what a notice looks like on each, and how it gets there."""
