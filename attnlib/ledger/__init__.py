"""What each paper claims, beside what this code measures: `verdict.judge` and `costs.cells`."""
