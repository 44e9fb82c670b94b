"""What a build and a comparison have to say, in words, JSON and pictures."""
