"""The program that runs on the board: the standard library alone, Python 3.7 or later."""
