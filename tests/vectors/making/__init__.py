"""What goes into the project's own vector files, a module for each file. `tests.vectors.make` writes them."""
