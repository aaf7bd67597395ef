"""What `make bench` runs: one module a field, ours and the reference interleaved, one table."""
