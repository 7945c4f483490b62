"""What a run found, as frozen values: what the report renders and the command line gates on."""
