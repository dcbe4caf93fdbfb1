"""What the GitHub workflows decide and do besides publishing, kept out of YAML so that it can be tested."""
