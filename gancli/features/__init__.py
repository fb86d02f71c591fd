"""Frozen extractors of features, the classifier, their weights and their cache."""
