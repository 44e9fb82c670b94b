"""What a board needs beside a network: where memory lies, how it starts, and files.

They are C of the board's side: ``stdio.h`` declares as much as ``serve.c`` calls.
"""
