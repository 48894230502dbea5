"""Modules that mix positions by attention weights, one file per paper; `attnlib.create` imports the one asked for."""
