"""The compiler: Graph (float) -> passes -> Program (integers)."""
