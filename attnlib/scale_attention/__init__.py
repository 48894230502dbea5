"""Modules that rescale a map by a gate, one file per paper; `attnlib.create` imports the one asked for."""
