"""The C interface of the runtime: the agent's layouts and numbers are those of a C compiler.

rknn_api.h may not be passed on, so the tests have one of their own, of what is used. With
ROCKPRESS_RKNN_API=/path/to/librknn_api/include all is held against Rockchip's too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from board_programs import API
from rockpress.board.agent import librknnrt

VENDOR = os.environ.get("ROCKPRESS_RKNN_API")
STRUCTURES: dict[str, type[ctypes.Structure]] = {
    "rknn_input_output_num": librknnrt.InOutNum,
    "rknn_tensor_attr": librknnrt.TensorAttr,
    "rknn_perf_detail": librknnrt.PerfDetail,
    "rknn_perf_run": librknnrt.PerfRun,
    "rknn_sdk_version": librknnrt.SdkVersion,
    "rknn_mem_size": librknnrt.MemSize,
    "rknn_input": librknnrt.Input,
    "rknn_output": librknnrt.Output,
}
NUMBERS = {
    "RKNN_FLAG_COLLECT_PERF_MASK": librknnrt.COLLECT_PERF,
    "RKNN_QUERY_IN_OUT_NUM": librknnrt.IN_OUT_NUM,
    "RKNN_QUERY_INPUT_ATTR": librknnrt.INPUT_ATTR,
    "RKNN_QUERY_OUTPUT_ATTR": librknnrt.OUTPUT_ATTR,
    "RKNN_QUERY_PERF_DETAIL": librknnrt.PERF_DETAIL,
    "RKNN_QUERY_PERF_RUN": librknnrt.PERF_RUN,
    "RKNN_QUERY_SDK_VERSION": librknnrt.SDK_VERSION,
    "RKNN_QUERY_MEM_SIZE": librknnrt.MEM_SIZE,
    "RKNN_TENSOR_QNT_DFP": librknnrt.DFP,
    "RKNN_TENSOR_QNT_AFFINE_ASYMMETRIC": librknnrt.AFFINE,
    **{f"RKNN_TENSOR_{name.upper()}": number for number, name in enumerate(librknnrt.TYPES)},
    **{f"RKNN_TENSOR_{name}": number for number, name in enumerate(librknnrt.FORMATS)},
    **{f"RKNN_ERR_{name}": number for number, name in librknnrt.STATUSES.items()},
}


def expressions() -> Iterator[tuple[str, int]]:
    """What C has to say, and what the agent says."""
    yield "sizeof(rknn_context)", ctypes.sizeof(librknnrt.Context)
    for name, structure in STRUCTURES.items():
        yield f"sizeof({name})", ctypes.sizeof(structure)
        for field, *_ in structure._fields_:
            place = getattr(structure, field)
            yield f"offsetof({name}, {field})", place.offset
            yield f"sizeof((({name} *)0)->{field})", place.size
    yield from NUMBERS.items()


@pytest.mark.parametrize("folder", [API, *([Path(VENDOR)] if VENDOR else [])], ids=str)
def test_the_agent_has_the_layouts_of_the_header(folder: Path, tmp_path: Path) -> None:
    prints = [f'    printf("%ld\\n", (long)({words}));\n' for words, _ in expressions()]
    source = tmp_path / "layouts.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <rknn_api.h>\n"
        f"int main(void) {{\n{''.join(prints)}    return 0;\n}}\n"
    )
    program = tmp_path / "layouts"
    subprocess.run(["cc", f"-I{folder}", source, "-o", program], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    names = [words for words, _ in expressions()]
    assert dict(zip(names, map(int, said.split()), strict=True)) == dict(expressions())
