"""RKNN conversion: the only room that runs rknn-toolkit2, and always in a child process."""
