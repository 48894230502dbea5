"""Slips that someone would make, and the tests that have to catch them; `make mutants` tries each."""
