"""The loop that joins ranking, calculations, verdicts and report."""
