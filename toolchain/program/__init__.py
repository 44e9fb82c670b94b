"""Program: the integers, their timing, and what runs around them."""
