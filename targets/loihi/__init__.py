"""The same integers in nengo-loihi's emulator."""
