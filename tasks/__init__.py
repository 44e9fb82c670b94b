"""What a network is asked: a file a kind of task."""
