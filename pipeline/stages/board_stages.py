"""The result on a board, where one was named: never from the cache, as a board is no function."""

from __future__ import annotations

from ...core.progress import Progress
from ..tasks.board_run import BoardFile, run_on_board, shapes_of
from .stage import Stage, on_samples
from .target_run import TargetRun


class OnBoard(Stage):
    """Run the file on a board over the samples that all is compared on, and time it."""

    name = "board"

    def applies(self, run: TargetRun) -> bool:
        return run.recipe.board.board is not None

    def describe(self, run: TargetRun) -> str:
        return f"run on {run.recipe.board.board} {on_samples(run)}, and time it"

    def make(self, run: TargetRun, progress: Progress) -> None:
        inputs, rows = list(run.evaluation.inputs), run.recipe.convert.rknn_batch_size
        shapes = shapes_of(inputs, run.recipe.shape.input_sets)
        file = BoardFile(run.path(".rknn"), run.target, inputs, rows, shapes)
        run.on_board = run_on_board(run.recipe, file, run.evaluation, progress)
