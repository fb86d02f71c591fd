"""What our own code is warned of fails tests (pyproject.toml: filterwarnings)."""

import warnings

import pytest


@pytest.mark.parametrize("category", (DeprecationWarning, PendingDeprecationWarning, FutureWarning))
def test_a_deprecation_in_our_code_is_an_error_and_in_others_a_warning(category):
    def used_in(module: str) -> None:
        warnings.warn_explicit("soon gone", category, f"{module}.py", 1, module)

    for module in ("gancli", "gancli.engine.training"):
        with pytest.raises(category):
            used_in(module)
    with pytest.warns(category):
        used_in("somebody.else")
