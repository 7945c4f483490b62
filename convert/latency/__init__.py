"""The latency estimate: what a layer has to do, what that costs on a chip, and how sure that is."""
