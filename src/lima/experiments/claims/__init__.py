"""The paper's claims as experiments in the built-in world: arms, jobs, bands, and what came out."""
