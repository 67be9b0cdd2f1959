"""The faults of `make mutants`: one at a time, in what decides, not in texts and types."""

import ast

from tests.mutants import ROOT, Mutator, files_that_test, module_name, mutants

CODE = '''
@dataclass(frozen=True)
class A:
    """Text 1."""
    low: Literal["x", 1] | None = None

def f(x: int | None, most: int = 3) -> float:
    assert x > 0, "more than 0"
    if not x or x - 1 < most:
        raise ValueError(f"{x + 1} < {most}")
    return None
'''
EXPECTED = [
    (7, "3  ->  4"),
    (9, "if not x or x - 1 < most:  ->  if not (not x or x - 1 < most):"),
    (9, "not x or x - 1 < most  ->  not x and x - 1 < most"),
    (9, "not x  ->  x"),
    (9, "x - 1 < most  ->  x - 1 <= most"),
    (9, "x - 1  ->  x + 1"),
    (9, "1  ->  2"),
]


def test_every_change_is_listed_and_none_in_texts_and_types() -> None:
    mutator = Mutator()
    mutator.visit(ast.parse(CODE))
    assert mutator.changes == EXPECTED


def test_exactly_the_wanted_change_is_made() -> None:
    before = ast.unparse(ast.parse(CODE)).splitlines()
    for number in range(len(EXPECTED)):
        tree = ast.parse(CODE)
        Mutator(number).visit(tree)
        after = ast.unparse(ast.fix_missing_locations(tree)).splitlines()
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, EXPECTED[number]


def test_every_target_has_mutants_and_tests() -> None:
    paths = {mutant.path for mutant in mutants()}
    assert {"lima.statistics.intervals", "lima.curate.rules", "lima.evaluate.parse", "lima.train.loss"} <= {
        module_name(path) for path in paths
    }
    for path in paths:
        assert all((ROOT / test).is_file() for test in files_that_test(path)), path
    loss = next(path for path in paths if path.name == "loss.py")
    assert files_that_test(loss)[0] == "tests/train/test_loss.py"
