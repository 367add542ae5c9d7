"""Models: cards, the registry that finds them, and what runs them."""
