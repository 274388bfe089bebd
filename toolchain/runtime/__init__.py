"""Running a compiled library on pictures: tiles with exact halo, photographs of every kind, time measurement."""
