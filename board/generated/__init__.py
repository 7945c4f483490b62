"""Programs for a board, made for one ``.rknn``: in Python and in C, to be read and changed."""
