"""What a network costs: operations (`attnlib.profiling.cost`) and memory (`attnlib.profiling.memory`)."""
