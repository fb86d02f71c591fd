"""The contract between a published system and the engine: the model, its phases, priors, abilities and building."""
