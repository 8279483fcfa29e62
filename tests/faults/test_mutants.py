"""A reliability test that cannot fail proves nothing: each guard is taken out, and its test must notice."""

import re

import pytest

from tests.faults.conftest import Note
from tests.faults.mutants import MUTANTS, Mutant, Tree
from tests.faults.system import HOME


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, long_faults: bool) -> Tree:
    """With every guard in its place all the tests pass."""
    tree = Tree(tmp_path_factory.mktemp("mutants"))
    tests = {mutant.test for mutant in MUTANTS if mutant.quick or long_faults}
    whole = tree.run(sorted(tests))
    assert whole.failed is None, whole.output
    assert whole.passed >= len(tests), whole.output
    return tree


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_guard_and_its_test_are_there(mutant: Mutant) -> None:
    mutant.applied((HOME / mutant.file).read_text())
    file, _, test = mutant.test.partition("::")
    name = test.partition("[")[0]
    assert re.search(rf"^(async )?def {name}\(", (HOME / file).read_text(), re.MULTILINE), f"there is no {mutant.test}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_without_its_guard_a_test_fails(mutant: Mutant, tree: Tree, note: Note, long_faults: bool) -> None:
    if not (long_faults or mutant.quick):
        pytest.skip("a part of --faults long")
    with tree.broken_by(mutant):
        answer = tree.run([mutant.test])
    assert answer.failed is not None, f"nobody noticed that {mutant.name}:\n{answer.output}"
    note(f"{mutant.guard}\nkilled by {mutant.test.partition('::')[2]} in {answer.seconds:.1f} s")
