"""The chips and their compiler as data: number formats, operators, cycles."""
