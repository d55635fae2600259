"""What C code prints goes nowhere, and only that."""

import ctypes

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from archgym.agents._quiet import _stream, quiet_c_output

# Seven choices of three, of a search in `Quantization-v0`, that HiGHS 1.12 prints a message about.
COST = [
    *(-0.04483352484748959, -0.033953262252425453, 0.0),
    *(-0.025841992311798734, -0.019226887091554623, 0.0),
    *(0.0, 0.048297688332672006, 0.27733662310314644),
    *(-0.03146042224381107, 0.0, 0.21738890293340463),
    *(-0.013157444177505528, 0.0, 0.09110894921768287),
    *(0.0, -0.0036734382314747016, 0.08390015412171126),
    *(-0.01222854097994075, 0.0, 0.1310113907349808),
]
BIT, BELOW = 0.028448275862068943, 0.056896551724137885
ABOVE = 0.056896551724138
BITS = [
    *(ABOVE, BIT, 0, ABOVE, BIT, 0, 0, -BIT, -BELOW, BIT, 0, -BIT, ABOVE, 0, -BELOW),
    *(0, -BELOW, -0.11379310344827588, ABOVE, 0, -BELOW),
]
MOST_BITS = -0.01982758620689653
EXCLUDED = [
    *("1201111", "2200111", "2101111", "1210111", "1111111", "2110111", "2201111", "1100121"),
    "0211111",
]


def solve():
    one_of_three = np.kron(np.eye(7), np.ones(3))
    excluded = [[str(v) == row[j] for j in range(7) for v in range(3)] for row in EXCLUDED]
    high = [*[1.0] * 7, MOST_BITS, *[6.0] * len(EXCLUDED)]
    low = [*[1.0] * 7, *[-np.inf] * (1 + len(EXCLUDED))]
    matrix = np.vstack([one_of_three, BITS, np.array(excluded, float)])
    return milp(
        np.array(COST),
        integrality=np.ones(21),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, low, high),
        options={"node_limit": 200, "mip_rel_gap": 1e-3},
    )


@pytest.fixture
def flush():
    if _stream() is None:
        pytest.skip("the C library has no variable stdout")
    library = ctypes.CDLL(None)
    return lambda: library.fflush(None)


def test_the_solver_says_nothing(flush, capfd):
    with quiet_c_output():
        told = solve()
    flush()
    assert told.x is not None
    assert capfd.readouterr().out == ""


def test_the_case_is_one_that_prints(flush, capfd):
    solve()
    flush()
    if not capfd.readouterr().out:
        pytest.skip("this version of HiGHS prints nothing")


def test_all_else_is_printed(flush, capfd):
    library = ctypes.CDLL(None)
    with quiet_c_output():
        print("from Python", flush=True)
        library.puts(b"from C, unheard")
    library.puts(b"from C")
    flush()
    assert capfd.readouterr().out == "from Python\nfrom C\n"


def test_an_error_on_the_way_does_not_leave_it_quiet(flush, capfd):
    with pytest.raises(ValueError, match="on the way"), quiet_c_output():
        raise ValueError("on the way")
    ctypes.CDLL(None).puts(b"from C")
    flush()
    assert capfd.readouterr().out == "from C\n"
