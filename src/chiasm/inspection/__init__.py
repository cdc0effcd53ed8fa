"""Looking into a model that answers: its heads, its concepts, its features, its use of shots."""
