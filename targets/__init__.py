"""Where a Program runs: simulators, emulators, hardware."""

GROUP = "snn_deploy.targets"  # entry points
