"""The child process that runs rknn-toolkit2: its jobs, its failures, and what it leaves behind."""
