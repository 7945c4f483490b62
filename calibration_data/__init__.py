"""Reading and preprocessing samples, the statistics pass over them, and the bundled sample set."""
