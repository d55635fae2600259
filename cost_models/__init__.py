"""Cost models: NumPy and Numba physics, one folder per family; they import nothing of ArchGym."""
