"""Float -> integers, and back."""
