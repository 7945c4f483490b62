"""How many channels every group keeps: importance, costs, and the plans to choose from."""
