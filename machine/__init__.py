"""What this machine has: packages, GPUs, boards, a batch queue, targets that run."""
