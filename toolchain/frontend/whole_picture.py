"""What to do with a network that takes or gives channels that no picture has."""

OF_PICTURES = (
    "of pictures (1 channel or 3), chroma (3 or 2 to 2, 3 to 1) and RGBA (4 to 4), in float32, channels first, "
    "networks can be deployed"
)
