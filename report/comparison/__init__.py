"""Results of several runs side by side: what each is, and what it is against the first."""
