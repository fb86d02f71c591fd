"""What several ranks share: slices of batches and draws, joining, and what they agree on."""
