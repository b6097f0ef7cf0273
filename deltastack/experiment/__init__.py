"""What every measured bench shares: the plan and its blocks, the ledger of runs, the meter, and runs as rows of the contracts."""
