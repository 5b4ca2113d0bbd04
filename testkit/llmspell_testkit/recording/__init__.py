"""What a run asked of its host and was answered: watched, kept in a file, served again."""
