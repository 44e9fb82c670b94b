"""Graph -> Graph -> Program, a pass a file or a room."""
