"""Recipes: the class that users write, and loading it from a file."""
