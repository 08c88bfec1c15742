import pytest

from bakery.host.timing import timed


def test_only_a_block_that_succeeds_is_kept() -> None:
    seconds: dict[str, float] = {}
    with timed(seconds, "flatten"):
        pass
    with pytest.raises(ZeroDivisionError), timed(seconds, "digest"):
        raise ZeroDivisionError
    assert list(seconds) == ["flatten"]
    assert 0 <= seconds["flatten"] < 10
