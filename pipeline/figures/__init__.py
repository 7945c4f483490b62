"""From the results of the stages to the figures of the report."""
