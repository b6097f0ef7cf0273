"""What a simulated run costs: usage by component, power states, storage."""
