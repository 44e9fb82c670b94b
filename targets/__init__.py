"""Where a Program runs: simulators, emulators, hardware."""
