"""What int8 usually keeps, for figures that say nothing alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UsualFidelity:
    """The SQNR in dB between whose ends half of so many models lie."""

    models: int
    low_db: float
    high_db: float

    def __str__(self) -> str:
        return (
            f"half of {self.models} public models in int8 have {self.low_db:g} to "
            f"{self.high_db:g} dB"
        )


# rk3588, rknn-toolkit2 2.5.0, without mixed precision: benchmarks/conversion.py
USUAL_INT8 = UsualFidelity(22, 18.0, 32.0)
