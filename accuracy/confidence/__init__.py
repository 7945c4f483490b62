"""How sure a figure is: closed-form intervals, the paired bootstrap, exact tests."""
