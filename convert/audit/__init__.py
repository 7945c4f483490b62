"""What is wrong with a model for a chip, told before minutes are spent on its conversion."""
