"""Branch deployments: cloning production's tables, and dropping the clones."""
