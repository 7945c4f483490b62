"""Every way in which a board fails, as one error that says what to do; a subject a module."""
