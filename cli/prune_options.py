"""The options that say how to prune, see options.py."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from .parsers import number, whole

MaxDrop = Annotated[
    float | None,
    Option(
        "--max-drop",
        metavar="D",
        parser=number(0, 1),
        help="Prune as much as loses no more than this of the outputs, such as 0.02: by trial on "
        "held-out samples. A budget is then the most to prune.",
    ),
]
Keep = Annotated[
    list[str] | None,
    Option(
        "--keep",
        metavar="NAME",
        help="Leave the channels of this layer whole; a glob such as 'head*'. Repeatable.",
    ),
]
Only = Annotated[
    list[str] | None,
    Option("--only", metavar="NAME", help="Prune these layers alone; as --keep. Repeatable."),
]
Criterion = Annotated[
    Literal["obs", "wanda", "magnitude"] | None,
    Option(
        "--criterion",
        help="Which channels go first: by the error that is left when the others make up for "
        "them, by their energy, or by their weights alone. [default: obs]",
    ),
]
Recover = Annotated[
    Literal["least-squares", "distill", "none"] | None,
    Option(
        "--recover",
        help="How to repair what is left: in closed form, by training it on top of that to give "
        "what the original gives (needs PyTorch), or not at all. [default: least-squares]",
    ),
]
RecoverTime = Annotated[
    float | None,
    Option(
        "--recover-time",
        metavar="S",
        parser=number(1),
        help="Seconds to train for --recover distill, at most. [default: 600]",
    ),
]
Sparsity = Annotated[
    Literal["2:4", "off"] | None,
    Option(
        "--sparsity",
        help="Set two of every four weights to zero, where the chip leaves them out: rk3576, "
        "rv1126b. [default: off]",
    ),
]
Rounds = Annotated[
    int | None,
    Option(
        "--rounds",
        metavar="N",
        parser=whole(1),
        help="Prune in so many rounds, measuring anew after each. [default: 2 from macs=-60% or "
        "size=-60% on, else 1]",
    ),
]
