"""2:4 sparsity: which weights stay, and a model made sparse layer by layer."""
